"""
The texts that are compared word for word: fetched in bulk, without the lines that are not their story.

Keeps the texts that were compared last, and the lines that each outlet had last. Both are caches: what they lack is
read from the database.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from ingestd.core.copies.verify import ComparedText
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.text.boilerplate import (
    HEADLINES_REMEMBERED,
    OutletLines,
    hash_lines,
    remove_known_boilerplate,
    remove_lines,
)
from ingestd.core.text.shingles import hash_shingles
from ingestd.store import articles as store
from ingestd.store.articles import StoredText

_TEXTS_HELD = 2048  # about 9 kB each
_OUTLETS_HELD = 4096  # about 7 kB each

_NO_LINES: NDArray[np.uint32] = np.zeros(0, dtype=np.uint32)


@dataclass(slots=True)
class _Held:
    """A text, and what is compared of it at present."""

    stored: StoredText
    lines: NDArray[np.uint32]
    compared: ComparedText
    left_out: NDArray[np.uint32]  # lines that recur, and are not compared


class TextCache:
    """Gives what is compared of an article, by its id."""

    def __init__(self) -> None:
        """Begin with none."""
        self._texts: OrderedDict[int, _Held] = OrderedDict()
        self._outlets: OrderedDict[str, OutletLines] = OrderedDict()

    def arrive(self, connection: Connection, arrivals: Iterable[tuple[int, StoredText, Fingerprint]]) -> None:
        """Take in new texts, all of a batch before one is compared: their order makes no difference then."""
        arrivals = list(arrivals)
        self._load_outlets(connection, {stored.outlet for _, stored, _ in arrivals})
        for article_id, stored, made in arrivals:
            compared = ComparedText(stored.text, stored.text, made.shingles)
            self._texts[article_id] = _Held(stored, made.lines, compared, _NO_LINES)
            if stored.outlet is not None:
                self._outlets[stored.outlet].add(stored.headline, made.lines)

    def follow(self, connection: Connection, article_ids: Iterable[int]) -> None:
        """Take note of texts that another process stored: what is held of them and of their outlets is out of date."""
        ids = list(article_ids)
        for article_id in ids:
            self._texts.pop(article_id, None)
        for stored in store.texts(connection, ids).values() if self._outlets else ():
            if stored.outlet is not None and stored.outlet in self._outlets:
                self._outlets[stored.outlet].add(stored.headline, hash_lines(stored.text))

    def fetch(self, connection: Connection, article_ids: set[int]) -> None:
        """Read at once the texts that will be asked for."""
        for known in article_ids & self._texts.keys():
            self._texts.move_to_end(known)
        missing = store.texts(connection, article_ids - self._texts.keys())
        for (article_id, stored), compared in zip(missing.items(), compared_texts(missing.values()), strict=True):
            self._texts[article_id] = _Held(stored, hash_lines(stored.text), compared, _NO_LINES)
        self._load_outlets(connection, {self._texts[article_id].stored.outlet for article_id in article_ids})

    def get(self, connection: Connection, article_id: int) -> ComparedText:
        """Return what is compared of an article."""
        if article_id not in self._texts:
            self.fetch(connection, {article_id})
        held = self._texts[article_id]
        recurring = self._recurring(connection, held.stored.outlet)
        if not recurring.size and not held.left_out.size:
            return held.compared
        left_out = np.intersect1d(held.lines, recurring, assume_unique=True)
        if not np.array_equal(left_out, held.left_out):
            (held.compared,) = compared_texts([held.stored], left_out)
            held.left_out = left_out
        return held.compared

    def shrink(self) -> None:
        """Forget the texts and outlets that were not asked for longest."""
        while len(self._texts) > _TEXTS_HELD:
            self._texts.popitem(last=False)
        while len(self._outlets) > _OUTLETS_HELD:
            self._outlets.popitem(last=False)

    def _recurring(self, connection: Connection, outlet: str | None) -> NDArray[np.uint32]:
        if outlet is None:
            return _NO_LINES
        if outlet not in self._outlets:
            self._load_outlets(connection, {outlet})
        return self._outlets[outlet].recurring_lines

    def _load_outlets(self, connection: Connection, outlets: set[str | None]) -> None:
        """Read at once the lines of the outlets that are not held."""
        wanted = {outlet for outlet in outlets if outlet is not None}
        for known in wanted & self._outlets.keys():
            self._outlets.move_to_end(known)
        self._outlets |= outlet_lines(connection, wanted - self._outlets.keys())


def compared_texts(texts: Iterable[StoredText], left_out: NDArray[np.uint32] | None = None) -> list[ComparedText]:
    """Return what is compared of some texts, without lines of known forms and without those left out."""
    whole = [stored.text for stored in texts]
    parts = whole if left_out is None else [remove_lines(text, left_out) for text in whole]
    sets = hash_shingles([remove_known_boilerplate(text) for text in parts])
    return [ComparedText(*one) for one in zip(whole, parts, sets, strict=True)]


def outlet_lines(connection: Connection, outlets: Iterable[str]) -> dict[str, OutletLines]:
    """Return what lines some outlets had last, of the articles that are stored."""
    found: dict[str, OutletLines] = {}
    for outlet, texts in store.last_of_outlets(connection, outlets, HEADLINES_REMEMBERED).items():
        lines = found[outlet] = OutletLines()
        for stored in texts:
            lines.add(stored.headline, hash_lines(stored.text))
    return found
