"""The interface of a feature: computing, storing, gathering and indexing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingestd.core.article import Article
from ingestd.core.lsh.inverted_index import Candidates
from ingestd.core.text.term_weights import TermWeighter


@dataclass(frozen=True, slots=True)
class FeatureInputs:
    """The articles of a batch, and intermediate results that several features share."""

    articles: Sequence[Article]
    shingles: Sequence[NDArray[np.uint32]]  # of each article: sorted, without repeats
    get_weighter: Callable[[str | None], TermWeighter]  # the term weights of a language; None: unknown language


class FeatureValue(Protocol):
    """The feature of one article."""

    def pack(self) -> tuple[Sequence[NDArray[Any]], str]:
        """Return the arrays (32-bit numbers) and the text that the value consists of."""

    @classmethod
    def unpack(cls, arrays: Sequence[NDArray[np.uint32]], text: str) -> FeatureValue:
        """Return the value with these arrays and this text."""


class FeatureColumns(Protocol):
    """The feature of many articles, in columns."""

    def select(self, mask: NDArray[np.bool_]) -> FeatureColumns:
        """Return the columns of the articles for which the mask is true."""


class FeatureIndex(Protocol):
    """An index of articles, which are numbered in the order in which they are added."""

    @property
    def nbytes(self) -> int:
        """Memory of the index, in bytes."""

    @property
    def truncated(self) -> int:
        """How often a bucket held more articles than the search read."""

    def reserve(self, articles: int) -> None:
        """Allocate memory for a number of further articles."""

    def add(self, columns: Any) -> None:
        """Add articles, which take the next positions."""

    def find_candidates(self, columns: Any, positions: NDArray[np.int64], before: NDArray[np.int64]) -> Candidates:
        """Return the candidates of articles with these positions, of positions below `before`, best first."""

    def compact(self, positions: NDArray[np.int64]) -> None:
        """Forget all articles but those at `positions` (ascending), and number these anew from 0."""


class Feature(Protocol):
    """One feature. Objects of a feature hold no state: `FEATURES` lists one object of each."""

    @property
    def name(self) -> str:
        """The name under which values are stored (`signatures.kind`)."""

    @property
    def scheme(self) -> str:
        """How values are computed. Stored beside each value: only equal schemes compare."""

    @property
    def most_candidates(self) -> int:
        """How many candidates of an article are compared exactly, best first."""

    def compute(self, inputs: FeatureInputs) -> Sequence[FeatureValue]:
        """Return the value of each article of a batch."""

    def encode(self, value: Any) -> bytes:
        """Return a value as it is stored."""

    def decode(self, payloads: Sequence[bytes]) -> FeatureColumns:
        """Return stored values, one or more, as columns."""

    def gather(self, values: Sequence[Any]) -> FeatureColumns:
        """Return values, one or more, as columns."""

    def make_index(self) -> FeatureIndex:
        """Return an empty index."""
