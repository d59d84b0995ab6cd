"""Verdicts and scores of the pairs in one batch: each pair is compared once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingestd.core.copies.overlap import Overlap
from ingestd.core.copies.verify import ComparedText, Comparison, PairVerdict, compare_texts
from ingestd.core.events.linkage import compute_outlet_weights
from ingestd.core.window.candidates import CandidateIds
from ingestd.core.window.window import Window
from ingestd.matching.corpus import Corpus
from ingestd.matching.text_cache import TextCache


class PairCache:
    """Compares pairs of articles by their texts (copies) and by their terms (events)."""

    def __init__(self, corpus: Corpus, window: Window, texts: TextCache) -> None:
        """Begin without pairs."""
        self._corpus, self._window, self._texts = corpus, window, texts
        self._verdicts: dict[tuple[int, int], Comparison] = {}
        self._scores: dict[int, dict[int, float]] = {}  # article -> other -> score

    def get_text(self, article_id: int) -> ComparedText:
        """Return the text of an article as it is compared."""
        return self._texts.get(self._corpus, article_id)

    def judge(self, one: int, other: int) -> Comparison:
        """Return the verdict on two articles."""
        if (one, other) not in self._verdicts:
            self._verdicts[one, other] = compare_texts(self.get_text(one), self.get_text(other))
        return self._verdicts[one, other]

    def find_overlap(self, one: int, other: int) -> Overlap | None:
        """Return the overlap of two articles if one is a copy of the other."""
        verdict = self.judge(one, other)
        return verdict.overlap if verdict.verdict is PairVerdict.COPY else None

    def find_matches(self, article_ids: Sequence[int]) -> dict[tuple[int, int], Overlap]:
        """Return the overlap of every ordered pair of articles of which one is a copy of the other."""
        return {
            (one, other): shared
            for one in article_ids
            for other in article_ids
            if one != other and (shared := self.find_overlap(one, other)) is not None
        }

    def score_candidates(self, article_ids: Sequence[int], candidates: Sequence[CandidateIds]) -> None:
        """Score all articles of a batch with their candidates at once."""
        counts = [len(c.coverage) for c in candidates]
        others = np.array([other for c in candidates for other in c.coverage], dtype=np.int64)
        of = np.repeat(np.arange(len(counts)), counts)
        scores = iter(self._window.scores.score_pairs(np.array(article_ids), others, of).tolist())
        for article_id, c in zip(article_ids, candidates, strict=True):
            self._scores[article_id] = {other: next(scores) for other in c.coverage}

    def get_scores(self, article_id: int, others: Sequence[int]) -> dict[int, float]:
        """Return the scores of an article with (at least) some others, by their ids."""
        known = self._scores.setdefault(article_id, {})
        missing = [other for other in others if other not in known]
        if missing:
            scores = self._window.scores.score(article_id, np.array(missing, dtype=np.int64))
            known.update(zip(missing, scores.tolist(), strict=True))
        return known

    def compute_mean(self, article_id: int, others: NDArray[np.int64]) -> float:
        """Return the mean score of an article with others; all articles of one outlet count as much as one article."""
        scores = self.get_scores(article_id, others.tolist())
        weights = compute_outlet_weights(self._window.articles.get_outlets(others).tolist())
        return sum(w * scores[other] for w, other in zip(weights, others.tolist(), strict=True)) / sum(weights)
