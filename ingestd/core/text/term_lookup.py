"""Find the words of terms by hash: of many terms, the evidence of a decision names few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ingestd.core.text.term_weights import TERM_BITS, TermVector

_LINE_BREAK = ord("\n")


class TermLookup:
    """Lookup of the words of the terms of articles, in batches; only requested words are decoded."""

    def __init__(self, articles: Mapping[int, TermVector]) -> None:
        """Index the terms of articles, by id; articles with hashes but no words are left out."""
        known = {article: terms for article, terms in articles.items() if terms.lines}
        self._number = dict(zip(known, range(len(known)), strict=True))
        of = np.repeat(np.arange(len(known)), [terms.hashes.size for terms in known.values()])
        hashes = np.concatenate([np.zeros(0, dtype=np.uint32), *(terms.hashes for terms in known.values())])
        self._keys = of << TERM_BITS | hashes >> np.uint32(32 - TERM_BITS)  # article and term in one number, ascending
        self._lines = "\n".join(["", *(terms.lines for terms in known.values()), ""]).encode()
        self._breaks = np.flatnonzero(np.frombuffer(self._lines, dtype=np.uint8) == _LINE_BREAK)

    def find_terms(self, articles: Sequence[int], terms: NDArray[np.uint32]) -> list[int]:
        """
        Look up terms of articles.

        Args:
            articles: n ids.
            terms: n hashes of `TERM_BITS` bits, one for each id.

        Returns:
            For each term a place for `read_word`; -1 if the article lacks the term or is not indexed.
        """
        if not self._keys.size:
            return [-1] * len(articles)
        number = np.array([self._number.get(article, -1) for article in articles], dtype=np.int64)
        wanted = number << TERM_BITS | terms
        at = np.minimum(self._keys.searchsorted(wanted), self._keys.size - 1)
        places: list[int] = np.where(self._keys[at] == wanted, at, -1).tolist()
        return places

    def read_word(self, place: int) -> str:
        """Return the word at a place of `find_terms`."""
        begin, end = self._breaks[place : place + 2].tolist()
        return self._lines[begin + 1 : end].decode()
