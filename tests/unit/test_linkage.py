from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from ingestd.core.events.linkage import (
    CONTRAST,
    MAX_RECLUSTERED,
    RECLUSTER_SHARE,
    THRESHOLD,
    TIGHTENING,
    CandidateCluster,
    ClusterProposal,
    compute_outlet_weights,
    propose_clusters,
    run_average_linkage,
)

scores = st.integers(2, 12).flatmap(
    lambda n: st.lists(st.floats(0, 1, width=32), min_size=n * (n - 1) // 2, max_size=n * (n - 1) // 2)
)


@given(scores, st.floats(0.05, 0.9))
def test_average_linkage_is_that_of_scipy(drawn: list[float], threshold: float) -> None:
    # Ties may be broken either way, so no two scores, nor means of some, are to be equal.
    values = np.array(drawn) + np.random.default_rng(len(drawn)).random(len(drawn)) * 1e-2
    matrix = squareform(values)
    ours = run_average_linkage(matrix, [1.0] * len(matrix), threshold, 0.0, 0.0)
    labels = fcluster(linkage(squareform(2 - matrix, checks=False), "average"), 2 - threshold, "distance")
    theirs = [[int(i) for i in np.flatnonzero(labels == label)] for label in set(labels)]
    assert sorted(ours) == sorted(theirs)


# Proposals, with scores that are made up. Articles are numbers; the new article is 100.


def propose(
    clusters: dict[int, list[int]], pairs: dict[tuple[int, int], float], *, known: bool = False
) -> tuple[ClusterProposal, ...]:
    def score(a: int, b: int) -> float:
        return pairs.get((a, b), pairs.get((b, a), 0.0))

    def all_scores(articles: np.ndarray) -> np.ndarray:
        return np.array([[score(int(a), int(b)) for b in articles] for a in articles])

    candidates = {}
    for cluster, members in clusters.items():
        of = all_scores(np.array([100, *members]))
        lowest = of[~np.eye(len(of), dtype=bool)].min() if known else -np.inf
        candidates[cluster] = CandidateCluster(np.array(members), float(of[0, 1:].mean()), float(lowest))
    return propose_clusters(100, candidates, all_scores, ignore_outlets)


def ignore_outlets(articles: np.ndarray) -> np.ndarray:
    return np.zeros(articles.size, dtype=np.uint32)


def divide(scores: np.ndarray, weights: list[float] | None = None, **also: float) -> list[list[int]]:
    rules = {"threshold": THRESHOLD, "tightening": TIGHTENING, "contrast": CONTRAST} | also
    return run_average_linkage(scores, weights or [1.0] * len(scores), **rules)


def test_nothing_near_opens_a_cluster() -> None:
    assert propose({}, {}) == (ClusterProposal(None, (100,)),)
    assert propose({1: [5]}, {(100, 5): THRESHOLD * RECLUSTER_SHARE - 0.01}) == (ClusterProposal(None, (100,)),)


def test_a_near_cluster_is_joined() -> None:
    (part,) = propose({1: [5, 6]}, {(100, 5): 0.5, (100, 6): 0.3, (5, 6): 0.4})
    assert (part.cluster_id, sorted(part.members)) == (1, [5, 6, 100])


def test_a_cluster_that_one_article_alone_holds_together_is_divide() -> None:
    parts = propose({1: [5, 6]}, {(100, 5): 0.5, (100, 6): 0.2, (5, 6): 0.01})
    assert {frozenset(part.members) for part in parts} == {frozenset({100, 5}), frozenset({6})}


def test_two_close_groups_with_much_less_between_them_stay_two_events() -> None:
    one, other = range(4), range(4, 8)

    def create_scores(mean: float) -> np.ndarray:
        scores = np.full((8, 8), mean)
        scores[np.ix_(one, one)], scores[np.ix_(other, other)] = 0.6, 0.5
        return scores

    assert divide(create_scores(0.3)) == [[*one], [*other]]  # above the threshold, far below .5
    assert divide(create_scores(0.4)) == [[*one, *other]]
    assert divide(create_scores(0.3), contrast=0.0) == [[*one, *other]]


def test_three_reports_are_too_few_to_tell_how_close_their_event_is() -> None:
    scores = np.full((7, 7), 0.3)
    scores[:3, :3], scores[3:, 3:] = 0.6, 0.5
    assert len(divide(scores)) == 1


def test_the_more_articles_there_are_the_closer_two_groups_must_be_to_become_one() -> None:
    def create_groups(of: int, between: float) -> np.ndarray:
        scores = np.full((2 * of, 2 * of), between)
        scores[:of, :of] = scores[of:, of:] = 0.2
        return scores

    just_enough = THRESHOLD * (1 + TIGHTENING / 2)
    assert len(divide(create_groups(1, just_enough))) == 1
    assert len(divide(create_groups(8, just_enough))) == 2
    assert len(divide(create_groups(8, THRESHOLD * (1 + 3 * TIGHTENING)))) == 1


def test_one_outlets_many_updates_count_as_one() -> None:
    assert compute_outlet_weights([5, 5, 5, 7, 0, 0]) == [1 / 3, 1 / 3, 1 / 3, 1, 1, 1]
    # Four updates of one outlet are unlike the newcomer, three other outlets are like it.
    scores = np.full((8, 8), 0.5)
    scores[7, :4] = scores[:4, 7] = 0.02
    scores[7, 4:7] = scores[4:7, 7] = 0.25
    assert divide(scores, compute_outlet_weights([1, 1, 1, 1, 2, 3, 4, 5])) == [[*range(8)]]
    assert divide(scores) == [[*range(7)], [7]]


def test_the_nearest_of_two_is_joined_and_the_other_left_alone() -> None:
    parts = propose({1: [5], 2: [6]}, {(100, 5): 0.5, (100, 6): 0.15})
    assert ClusterProposal(1, (5, 100)) in [ClusterProposal(p.cluster_id, tuple(sorted(p.members))) for p in parts]
    assert ClusterProposal(2, (6,)) in parts


def test_an_article_that_shows_two_clusters_to_be_one_event_merges_them() -> None:
    pairs = {(100, 5): 0.5, (100, 6): 0.4, (100, 7): 0.4, (5, 6): 0.25, (5, 7): 0.25, (6, 7): 0.5}
    (part,) = propose({1: [5], 2: [6, 7]}, pairs)
    assert part.cluster_id == 2  # the larger keeps its id
    assert sorted(part.members) == [5, 6, 7, 100]


def test_one_article_between_two_events_does_not_fuse_them() -> None:
    parts = propose({1: [5, 6], 2: [7, 8]}, {(100, 5): 0.4, (100, 6): 0.4, (100, 7): 0.35, (100, 8): 0.35,
                                            (5, 6): 0.6, (7, 8): 0.6})  # fmt: skip
    assert {p.cluster_id for p in parts} == {1, 2}


def test_a_cluster_that_turns_out_to_be_two_events_is_split() -> None:
    pairs = {(100, 5): 0.15, (100, 6): 0.6, (5, 6): 0.1, (100, 9): 0.13, (5, 9): 0.7, (6, 9): 0.05}
    parts = propose({1: [5, 6], 2: [9]}, pairs)
    together = {frozenset(p.members) for p in parts}
    assert frozenset({100, 6}) in together
    assert frozenset({5, 9}) in together


@given(st.integers(1, 9), st.data())
def test_knowing_the_lowest_score_changes_nothing_but_the_work(members: int, data: st.DataObject) -> None:
    near = st.floats(0.9 * THRESHOLD, 1.3 * THRESHOLD)
    everyone = [100, *range(members)]
    pairs = {(a, b): data.draw(near) for a in everyone for b in everyone if a < b}
    found = [propose({1: list(range(members))}, pairs, known=known) for known in (True, False)]
    assert len({frozenset((p.cluster_id, frozenset(p.members)) for p in parts) for parts in found}) == 1


def test_no_more_articles_are_clustered_again_at_once_than_the_limit_allows() -> None:
    giant, small = list(range(MAX_RECLUSTERED + 50)), [90_001, 90_002]
    asked: list[int] = []

    def all_scores(articles: np.ndarray) -> np.ndarray:
        asked.append(articles.size)
        return np.ones((articles.size, articles.size))

    candidates = {1: CandidateCluster(np.array(giant), 0.3), 2: CandidateCluster(np.array(small), 0.25)}
    assert propose_clusters(100_000, {1: candidates[1]}, all_scores, ignore_outlets) == (
        ClusterProposal(1, (*giant, 100_000)),
    )
    propose_clusters(100_000, candidates, all_scores, ignore_outlets)
    assert all(size <= MAX_RECLUSTERED for size in asked)
