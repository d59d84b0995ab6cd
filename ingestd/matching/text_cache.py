"""
Texts for comparison word by word: fetched in bulk, without the recurring lines of their outlet.

Holds the texts compared last, and the last lines of each outlet. Missing texts and lines are read from the corpus.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingestd.core.changeset import NewArticle
from ingestd.core.copies.verify import ComparedText
from ingestd.core.stored import StoredText
from ingestd.core.text.boilerplate import (
    HEADLINES_REMEMBERED,
    OutletLines,
    hash_lines,
    remove_known_boilerplate,
    remove_lines,
)
from ingestd.core.text.shingles import hash_shingles
from ingestd.matching.corpus import Corpus

_TEXTS_HELD = 2048  # about 9 kB each
_OUTLETS_HELD = 4096  # about 7 kB each

_NO_LINES: NDArray[np.uint32] = np.zeros(0, dtype=np.uint32)


@dataclass(slots=True)
class _HeldText:
    """A text, and the part of the text that is compared at present."""

    stored: StoredText
    lines: NDArray[np.uint32]
    compared: ComparedText
    left_out: NDArray[np.uint32]  # hashes of the recurring lines, which are not compared


class TextCache:
    """Gives the compared text of an article, by id."""

    def __init__(self) -> None:
        """Begin without texts."""
        self._texts: OrderedDict[int, _HeldText] = OrderedDict()
        self._outlets: OrderedDict[str, OutletLines] = OrderedDict()

    def add(self, corpus: Corpus, batch: Sequence[NewArticle]) -> None:
        """Take in the texts of a batch, all before one is compared: their order makes no difference then."""
        arrivals = [(new.article_id, new.stored_text, new.fingerprint) for new in batch]
        self._load_outlets(corpus, {stored.outlet for _, stored, _ in arrivals})
        for article_id, stored, fingerprint in arrivals:
            compared = ComparedText(stored.text, stored.text, fingerprint.shingles)
            self._texts[article_id] = _HeldText(stored, fingerprint.lines, compared, _NO_LINES)
            if stored.outlet is not None:
                self._outlets[stored.outlet].add(stored.headline, fingerprint.lines)

    def catch_up(self, corpus: Corpus, article_ids: Iterable[int]) -> None:
        """Take in texts that another process stored: held versions of them and of their outlets are out of date."""
        ids = list(article_ids)
        for article_id in ids:
            self._texts.pop(article_id, None)
        for stored in corpus.read_texts(ids).values() if self._outlets else ():
            if stored.outlet is not None and stored.outlet in self._outlets:
                self._outlets[stored.outlet].add(stored.headline, hash_lines(stored.text))

    def fetch(self, corpus: Corpus, article_ids: set[int]) -> None:
        """Read many texts at once."""
        for known in article_ids & self._texts.keys():
            self._texts.move_to_end(known)
        missing = corpus.read_texts(article_ids - self._texts.keys())
        for (article_id, stored), compared in zip(missing.items(), cut_texts(missing.values()), strict=True):
            self._texts[article_id] = _HeldText(stored, hash_lines(stored.text), compared, _NO_LINES)
        self._load_outlets(corpus, {self._texts[article_id].stored.outlet for article_id in article_ids})

    def get(self, corpus: Corpus, article_id: int) -> ComparedText:
        """Return the compared text of an article."""
        if article_id not in self._texts:
            self.fetch(corpus, {article_id})
        held = self._texts[article_id]
        recurring = self._find_recurring(corpus, held.stored.outlet)
        if not recurring.size and not held.left_out.size:
            return held.compared
        left_out = np.intersect1d(held.lines, recurring, assume_unique=True)
        if not np.array_equal(left_out, held.left_out):
            (held.compared,) = cut_texts([held.stored], left_out)
            held.left_out = left_out
        return held.compared

    def evict(self) -> None:
        """Forget the texts and outlets that were not asked for longest."""
        while len(self._texts) > _TEXTS_HELD:
            self._texts.popitem(last=False)
        while len(self._outlets) > _OUTLETS_HELD:
            self._outlets.popitem(last=False)

    def _find_recurring(self, corpus: Corpus, outlet: str | None) -> NDArray[np.uint32]:
        if outlet is None:
            return _NO_LINES
        if outlet not in self._outlets:
            self._load_outlets(corpus, {outlet})
        return self._outlets[outlet].recurring_lines

    def _load_outlets(self, corpus: Corpus, outlets: set[str | None]) -> None:
        """Read at once the lines of the outlets that are not held."""
        wanted = {outlet for outlet in outlets if outlet is not None}
        for known in wanted & self._outlets.keys():
            self._outlets.move_to_end(known)
        missing = wanted - self._outlets.keys()
        if missing:
            self._outlets |= collect_lines(corpus.read_last_texts(missing, HEADLINES_REMEMBERED))


def cut_texts(texts: Iterable[StoredText], left_out: NDArray[np.uint32] | None = None) -> list[ComparedText]:
    """Return texts as they are compared: without lines of known forms and without the lines with some hashes."""
    whole = [stored.text for stored in texts]
    parts = whole if left_out is None else [remove_lines(text, left_out) for text in whole]
    sets = hash_shingles([remove_known_boilerplate(text) for text in parts])
    return [ComparedText(*one) for one in zip(whole, parts, sets, strict=True)]


def collect_lines(texts_by_outlet: dict[str, list[StoredText]]) -> dict[str, OutletLines]:
    """Return the lines of the last texts of outlets, oldest text first."""
    lines_by_outlet: dict[str, OutletLines] = {}
    for outlet, texts in texts_by_outlet.items():
        lines = lines_by_outlet[outlet] = OutletLines()
        for stored in texts:
            lines.add(stored.headline, hash_lines(stored.text))
    return lines_by_outlet
