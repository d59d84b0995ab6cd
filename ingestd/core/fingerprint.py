"""
Compute the fingerprint of an article: all features for comparison with other articles, made once and stored.

This is the parallel part of the work; nothing here depends on any other article.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestd.core.article import Article
from ingestd.core.features import FEATURES, FeatureInputs, FeatureValue
from ingestd.core.text.boilerplate import hash_lines, remove_known_boilerplate
from ingestd.core.text.pieces import cut_pieces
from ingestd.core.text.shingles import hash_shingles
from ingestd.core.text.term_weights import TermWeighter


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The features of one article, and the sets of hashes that an exact comparison needs."""

    shingles: NDArray[np.uint32]  # sorted, without repeats
    lines: NDArray[np.uint32]  # hashes of the lines, by which recurring lines are found
    features: dict[str, Any]  # `FeatureValue` by name of the feature
    n_words: int
    text_sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        # A fingerprint goes from one process to another as one piece: many arrays would take several times as long.
        packed = [value.pack() for value in self.features.values()]
        arrays = [self.shingles, self.lines, *(array for part, _ in packed for array in part)]
        piece, sizes = b"".join(map(np.ndarray.tobytes, arrays)), [array.size for array in arrays]
        values = [
            (name, type(value), len(part), text)
            for (name, value), (part, text) in zip(self.features.items(), packed, strict=True)
        ]
        return _unpack, (piece, sizes, values, self.n_words, self.text_sha256)


def _unpack(
    piece: bytes,
    sizes: Sequence[int],
    values: Sequence[tuple[str, type[FeatureValue], int, str]],
    n_words: int,
    text_sha256: str,
) -> Fingerprint:
    numbers, arrays, start = np.frombuffer(piece, dtype=np.uint32), [], 0
    for size in sizes:
        arrays.append(numbers[start : start + size])
        start += size
    features, first = {}, 2
    for name, kind, count, text in values:
        features[name] = kind.unpack(arrays[first : first + count], text)
        first += count
    return Fingerprint(arrays[0], arrays[1], features, n_words, text_sha256)


def fingerprint_articles(
    articles: Sequence[Article], get_weighter: Callable[[str | None], TermWeighter]
) -> list[Fingerprint]:
    """
    Return the fingerprints of many articles.

    Args:
        articles: any number; batches of a few dozen are faster than single articles.
        get_weighter: returns the term weighter of a language; the argument None stands for an unknown language.
    """
    sets = hash_shingles([remove_known_boilerplate(article.body) for article in articles])
    inputs = FeatureInputs(articles, sets, get_weighter)
    values = {feature.name: feature.compute(inputs) for feature in FEATURES}
    return [
        Fingerprint(
            shingles=sets[i],
            lines=hash_lines(article.body),
            features={name: values_of[i] for name, values_of in values.items()},
            n_words=sum(len(piece.split()) for piece in cut_pieces(article.body)),
            text_sha256=article.hash_text(),
        )
        for i, article in enumerate(articles)
    ]
