"""Measures of the agreement of two clusterings of the same articles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any


@dataclass(frozen=True, slots=True)
class ClusterMetrics:
    """Measures of a clustering against the gold clustering, 0 to 1 each."""

    b3_precision: float
    b3_recall: float
    b3_f1: float
    pair_precision: float
    pair_recall: float
    pair_f1: float
    adjusted_rand: float


def compare_clusterings(gold: Mapping[str, Hashable], found: Mapping[str, Hashable]) -> ClusterMetrics:
    """
    Compare a clustering with the gold clustering; both map an article to a cluster.

    Args:
        gold: the correct clustering; not empty.
        found: has every article of `gold`; further articles do not count.

    Raises:
        ValueError: `gold` is empty, or `found` lacks an article.

    Source: Bagga and Baldwin 1998 (B-cubed); Hubert and Arabie 1985 (adjusted Rand index).
    """
    if not gold or not gold.keys() <= found.keys():
        raise ValueError("every article that is compared needs a group in both")
    n = len(gold)
    both = Counter((gold[k], found[k]) for k in gold)
    in_gold, in_found = Counter(gold.values()), Counter(found[k] for k in gold)
    precision = sum(c * c / in_found[f] for (_, f), c in both.items()) / n
    recall = sum(c * c / in_gold[g] for (g, _), c in both.items()) / n
    pairs, gold_pairs, found_pairs = (_count_pairs(cells) for cells in (both, in_gold, in_found))
    pair_precision = pairs / found_pairs if found_pairs else 1.0
    pair_recall = pairs / gold_pairs if gold_pairs else 1.0
    return ClusterMetrics(
        precision, recall, _compute_f1(precision, recall),
        pair_precision, pair_recall, _compute_f1(pair_precision, pair_recall),
        _compute_adjusted_rand(pairs, gold_pairs, found_pairs, comb(n, 2)),
    )  # fmt: skip


def _compute_adjusted_rand(pairs: int, gold_pairs: int, found_pairs: int, all_pairs: int) -> float:
    if pairs == gold_pairs == found_pairs:
        return 1.0
    chance = gold_pairs * found_pairs / all_pairs
    return (pairs - chance) / ((gold_pairs + found_pairs) / 2 - chance)


def _count_pairs(cells: Mapping[Any, int]) -> int:
    return sum(comb(n, 2) for n in cells.values())


def _compute_f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
