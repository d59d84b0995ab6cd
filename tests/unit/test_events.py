from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
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
from ingestd.core.events.term_vectors import (
    EVEN_SCORE,
    LARGEST_PENALTY,
    TermVectorStore,
    compute_time_penalty,
    estimate_probability,
)
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.text.term_weights import PAIR_WEIGHT, TERM_BITS, TermVector, TermWeighter

FREQUENCIES = {"the": 5e-2, "of": 3e-2, "said": 2e-3, "minister": 2e-4, "ferry": 1e-5}
salience = TermWeighter("en", lambda words: [FREQUENCIES.get(w, 0.0) for w in words])

weights = st.dictionaries(st.integers(0, 40), st.floats(0.1, 1.0), min_size=0, max_size=15)


def vector(drawn: dict[int, float]) -> TermVector:
    terms = sorted(drawn)
    values = np.array([drawn[t] for t in terms], dtype=np.float32)
    norm = np.linalg.norm(values) or 1.0
    return TermVector(hashes(terms), values / np.float32(norm), "")


def hashes(terms: Sequence[int]) -> NDArray[np.uint32]:
    """Hashes that begin with these numbers."""
    return np.array(terms, dtype=np.uint32) << np.uint32(32 - TERM_BITS)


def add(vectors: TermVectorStore, terms: TermVector) -> None:
    vectors.add(RaggedArray.from_rows([terms.hashes]), terms.weights)


@given(st.lists(weights, min_size=2, max_size=8), st.data())
def test_cosines_are_those_of_the_dense_vectors(drawn: list[dict[int, float]], data: st.DataObject) -> None:
    vectors, dense = TermVectorStore(articles_at_once=3), np.zeros((len(drawn), 41))
    for i, d in enumerate(drawn):
        v = vector(d)
        add(vectors, v)
        dense[i, sorted(d)] = v.weights
    everyone = np.arange(len(drawn))
    expected = dense @ dense.T
    off_diagonal = ~np.eye(len(drawn), dtype=bool)
    assert np.allclose(vectors.compute_gram(everyone)[off_diagonal], expected[off_diagonal], rtol=0.01)
    some = st.lists(st.sampled_from(range(len(drawn))))
    others_of = data.draw(st.lists(some, min_size=1, max_size=7))
    articles = np.array(data.draw(st.lists(st.sampled_from(everyone), min_size=7, max_size=7))[: len(others_of)])
    others = np.array([other for others in others_of for other in others], dtype=np.int64)
    of = np.repeat(np.arange(articles.size), [len(others) for others in others_of])
    assert np.allclose(vectors.compute_cosines(articles, others, of), expected[articles[of], others], rtol=0.01)


@given(st.lists(weights, min_size=1, max_size=8), st.integers(1, 4), st.data())
def test_the_terms_named_make_most_of_the_cosine(drawn: list[dict[int, float]], most: int, data: st.DataObject) -> None:
    vectors = TermVectorStore(articles_at_once=3)
    for d in drawn:
        add(vectors, vector(d))
    one = st.sampled_from(range(len(drawn)))
    pairs = np.array(data.draw(st.lists(st.tuples(one, one))), dtype=np.int64).reshape(-1, 2)
    named = vectors.find_shared_terms(pairs[:, 0], pairs[:, 1], most)
    for (a, b), (terms, products) in zip(pairs.tolist(), named, strict=True):
        held = [vector(drawn[i]) for i in (a, b)]
        mine, theirs = (
            dict(zip(sorted(drawn[i]), v.weights.tolist(), strict=True)) for i, v in zip((a, b), held, strict=True)
        )
        expected = {term: mine[term] * theirs[term] for term in mine.keys() & theirs.keys()}
        assert np.allclose(products, sorted(expected.values(), reverse=True)[:most], rtol=0.02)
        assert np.allclose(products, [expected[term] for term in terms.tolist()], rtol=0.02)


@given(st.lists(weights, min_size=1, max_size=8), st.data())
def test_vectors_kept_stay_what_they_were(drawn: list[dict[int, float]], data: st.DataObject) -> None:
    vectors = TermVectorStore()
    for d in drawn:
        add(vectors, vector(d))
    keep = sorted(data.draw(st.sets(st.integers(0, len(drawn) - 1), min_size=1)))
    before = [vectors.gather_terms(np.array([i])) for i in keep]
    vectors.compact(np.array(keep))
    add(vectors, vector({1: 1.0}))
    for i, (terms, values, _) in enumerate(before):
        assert np.array_equal(vectors.gather_terms(np.array([i]))[0], terms)
        assert np.array_equal(vectors.gather_terms(np.array([i]))[1], values)


def test_two_terms_whose_hashes_begin_alike_are_one() -> None:
    vectors, alike = TermVectorStore(), hashes([3, 3, 4]) + np.array([0, 1, 0], dtype=np.uint32)
    values = np.array([0.5, 0.25, 0.5], dtype=np.float32)
    vectors.add(RaggedArray.from_rows([alike, alike[2:]]), np.concatenate([values, values[2:]]))
    terms, _, owner = vectors.gather_terms(np.arange(2))
    assert list(zip(owner.tolist(), terms.tolist(), strict=True)) == [(0, 3), (0, 4), (1, 4)]
    assert np.allclose(vectors.compute_cosines(*np.array([[0], [1], [0]])), 0.25, rtol=0.01)


def test_time_takes_off_a_little_and_an_unknown_date_nothing() -> None:
    penalties = compute_time_penalty(10.0, np.array([10.0, 11.0, 9.0, 400.0, np.nan]))
    assert np.allclose(penalties, [0, 0.02, 0.02, LARGEST_PENALTY, 0])
    assert np.allclose(compute_time_penalty(float("nan"), np.array([1.0, np.nan])), 0)


def test_a_rare_word_says_more_than_a_common_one_and_a_number_is_capped() -> None:
    terms = salience.weigh_article(None, "the minister ferry gannet 48213")
    weight = dict(zip(terms.words, terms.weights.tolist(), strict=True))
    assert weight["the"] < 0.001 < weight["minister"] < weight["48213"] < weight["ferry"] < weight["gannet"]


def test_case_and_a_final_s_make_no_difference_to_a_term() -> None:
    assert salience.weigh_article(None, "Ferry's ferry FERRY’S").words == ("ferry",)


def test_the_same_word_of_two_languages_is_two_terms() -> None:
    german = TermWeighter("de", lambda words: [0.0] * len(words)).weigh_article(None, "die")
    assert german.words == salience.weigh_article(None, "die").words
    assert german.hashes.tolist() != salience.weigh_article(None, "die").hashes.tolist()


def test_terms_are_of_unit_length_and_name_their_words() -> None:
    terms = salience.weigh_article(
        "Ferry strikes pier", "The ferry Lady Marisol struck the pier.\n\nThe minister said little."
    )
    assert np.isclose(np.linalg.norm(terms.weights), 1.0)
    assert np.all(np.diff(terms.hashes.astype(np.int64)) > 0)
    weight = dict(zip(terms.words, terms.weights.tolist(), strict=True))
    assert weight["pier"] > weight["little"] > weight["minister"]  # in title and lead; in the lead; common
    assert np.isclose(weight["lady marisol"], PAIR_WEIGHT * (weight["lady"] + weight["marisol"]) / 2)


def test_whole_names_tell_apart_who_shares_a_part() -> None:
    def both(one: str, other: str) -> float:
        (a, b) = (
            salience.weigh_article(f"{name} held", f"Police said that {name} was held in Tolbury.")
            for name in (one, other)
        )
        shared = np.intersect1d(a.hashes, b.hashes, return_indices=True)
        return float(a.weights[shared[1]] @ b.weights[shared[2]])

    assert both("Jamal Strand", "Jamal Strand") > 0.99
    assert "jamal strand" in salience.weigh_article(None, "Jamal Strand left. Nobody stayed.").words
    assert "strand nobody" not in salience.weigh_article(None, "Jamal Strand. And nobody stayed, nobody.").words
    # The first name is shared, the name is not.
    assert both("Jamal Strand", "Jamal Vale") < both("Jamal Strand", "Strand")


def test_words_met_before_make_no_difference_however_many_they_are() -> None:
    fresh, used = (
        TermWeighter("en", lambda words: [FREQUENCIES.get(w, 0.0) for w in words], max_known_terms=2_500)
        for _ in range(2)
    )
    for start in range(0, 9_000, 1_000):
        used.weigh_article(f"Title{start}", " ".join(f"w{n} W{n}" for n in range(start, start + 1_000)))
    article = ("Ferry strikes pier", "The ferry Lady Marisol struck the pier.\n\nThe minister said little.")
    one, other = fresh.weigh_article(*article), used.weigh_article(*article)
    assert one.words == other.words
    assert np.array_equal(one.hashes, other.hashes)
    assert np.array_equal(one.weights, other.weights)


def test_an_article_without_words_has_no_terms() -> None:
    assert salience.weigh_article(None, "... !!!").hashes.size == 0


scores = st.integers(2, 12).flatmap(
    lambda n: st.lists(st.floats(0, 1, width=32), min_size=n * (n - 1) // 2, max_size=n * (n - 1) // 2)
)


@given(scores, st.floats(0.05, 0.9))
def test_average_link_is_that_of_scipy(drawn: list[float], threshold: float) -> None:
    # Ties may be broken either way, so no two scores, nor means of some, are to be equal.
    values = np.array(drawn) + np.random.default_rng(len(drawn)).random(len(drawn)) * 1e-2
    matrix = squareform(values)
    ours = run_average_linkage(matrix, [1.0] * len(matrix), threshold, 0.0, 0.0)
    labels = fcluster(linkage(squareform(2 - matrix, checks=False), "average"), 2 - threshold, "distance")
    theirs = [[int(i) for i in np.flatnonzero(labels == label)] for label in set(labels)]
    assert sorted(ours) == sorted(theirs)


# Deciding, with scores that are made up. Articles are numbers; the newcomer is 100.


def decided(
    clusters: dict[int, list[int]], pairs: dict[tuple[int, int], float], *, known: bool = False
) -> tuple[ClusterProposal, ...]:
    def score(a: int, b: int) -> float:
        return pairs.get((a, b), pairs.get((b, a), 0.0))

    def all_scores(articles: np.ndarray) -> np.ndarray:
        return np.array([[score(int(a), int(b)) for b in articles] for a in articles])

    touched = {}
    for cluster, members in clusters.items():
        of = all_scores(np.array([100, *members]))
        lowest = of[~np.eye(len(of), dtype=bool)].min() if known else -np.inf
        touched[cluster] = CandidateCluster(np.array(members), float(of[0, 1:].mean()), float(lowest))
    return propose_clusters(100, touched, all_scores, no_outlets)


def no_outlets(articles: np.ndarray) -> np.ndarray:
    return np.zeros(articles.size, dtype=np.uint32)


def divided(scores: np.ndarray, weights: list[float] | None = None, **also: float) -> list[list[int]]:
    rules = {"threshold": THRESHOLD, "tightening": TIGHTENING, "contrast": CONTRAST} | also
    return run_average_linkage(scores, weights or [1.0] * len(scores), **rules)


def test_nothing_near_opens_a_cluster() -> None:
    assert decided({}, {}) == (ClusterProposal(None, (100,)),)
    assert decided({1: [5]}, {(100, 5): THRESHOLD * RECLUSTER_SHARE - 0.01}) == (ClusterProposal(None, (100,)),)


def test_a_near_cluster_is_joined() -> None:
    (part,) = decided({1: [5, 6]}, {(100, 5): 0.5, (100, 6): 0.3, (5, 6): 0.4})
    assert (part.cluster_id, sorted(part.members)) == (1, [5, 6, 100])


def test_a_cluster_that_one_article_alone_holds_together_is_divided() -> None:
    parts = decided({1: [5, 6]}, {(100, 5): 0.5, (100, 6): 0.2, (5, 6): 0.01})
    assert {frozenset(part.members) for part in parts} == {frozenset({100, 5}), frozenset({6})}


def test_two_close_groups_with_much_less_between_them_stay_two_events() -> None:
    one, other = range(4), range(4, 8)

    def between(mean: float) -> np.ndarray:
        scores = np.full((8, 8), mean)
        scores[np.ix_(one, one)], scores[np.ix_(other, other)] = 0.6, 0.5
        return scores

    assert divided(between(0.3)) == [[*one], [*other]]  # above the threshold, far below .5
    assert divided(between(0.4)) == [[*one, *other]]
    assert divided(between(0.3), contrast=0.0) == [[*one, *other]]


def test_three_reports_are_too_few_to_tell_how_close_their_event_is() -> None:
    scores = np.full((7, 7), 0.3)
    scores[:3, :3], scores[3:, 3:] = 0.6, 0.5
    assert len(divided(scores)) == 1


def test_the_more_articles_there_are_the_closer_two_groups_must_be_to_become_one() -> None:
    def groups(of: int, between: float) -> np.ndarray:
        scores = np.full((2 * of, 2 * of), between)
        scores[:of, :of] = scores[of:, of:] = 0.2
        return scores

    just_enough = THRESHOLD * (1 + TIGHTENING / 2)
    assert len(divided(groups(1, just_enough))) == 1
    assert len(divided(groups(8, just_enough))) == 2
    assert len(divided(groups(8, THRESHOLD * (1 + 3 * TIGHTENING)))) == 1


def test_one_outlets_many_updates_count_as_one() -> None:
    assert compute_outlet_weights([5, 5, 5, 7, 0, 0]) == [1 / 3, 1 / 3, 1 / 3, 1, 1, 1]
    # Four updates of one outlet are unlike the newcomer, three other outlets are like it.
    scores = np.full((8, 8), 0.5)
    scores[7, :4] = scores[:4, 7] = 0.02
    scores[7, 4:7] = scores[4:7, 7] = 0.25
    assert divided(scores, compute_outlet_weights([1, 1, 1, 1, 2, 3, 4, 5])) == [[*range(8)]]
    assert divided(scores) == [[*range(7)], [7]]


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_the_probability_rises_with_the_score(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= estimate_probability(low) <= estimate_probability(high) < 1
    assert np.isclose(estimate_probability(EVEN_SCORE), 0.5)


def test_the_nearest_of_two_is_joined_and_the_other_left_alone() -> None:
    parts = decided({1: [5], 2: [6]}, {(100, 5): 0.5, (100, 6): 0.15})
    assert ClusterProposal(1, (5, 100)) in [ClusterProposal(p.cluster_id, tuple(sorted(p.members))) for p in parts]
    assert ClusterProposal(2, (6,)) in parts


def test_an_article_that_shows_two_clusters_to_be_one_event_merges_them() -> None:
    pairs = {(100, 5): 0.5, (100, 6): 0.4, (100, 7): 0.4, (5, 6): 0.25, (5, 7): 0.25, (6, 7): 0.5}
    (part,) = decided({1: [5], 2: [6, 7]}, pairs)
    assert part.cluster_id == 2  # the larger keeps its id
    assert sorted(part.members) == [5, 6, 7, 100]


def test_one_article_between_two_events_does_not_fuse_them() -> None:
    parts = decided({1: [5, 6], 2: [7, 8]}, {(100, 5): 0.4, (100, 6): 0.4, (100, 7): 0.35, (100, 8): 0.35,
                                            (5, 6): 0.6, (7, 8): 0.6})  # fmt: skip
    assert {p.cluster_id for p in parts} == {1, 2}


def test_a_cluster_that_turns_out_to_be_two_events_is_split() -> None:
    pairs = {(100, 5): 0.15, (100, 6): 0.6, (5, 6): 0.1, (100, 9): 0.13, (5, 9): 0.7, (6, 9): 0.05}
    parts = decided({1: [5, 6], 2: [9]}, pairs)
    together = {frozenset(p.members) for p in parts}
    assert frozenset({100, 6}) in together
    assert frozenset({5, 9}) in together


@given(st.integers(1, 9), st.data())
def test_knowing_the_lowest_score_changes_nothing_but_the_work(members: int, data: st.DataObject) -> None:
    near = st.floats(0.9 * THRESHOLD, 1.3 * THRESHOLD)
    everyone = [100, *range(members)]
    pairs = {(a, b): data.draw(near) for a in everyone for b in everyone if a < b}
    found = [decided({1: list(range(members))}, pairs, known=known) for known in (True, False)]
    assert len({frozenset((p.cluster_id, frozenset(p.members)) for p in parts) for parts in found}) == 1


def test_no_more_is_decided_again_at_once_than_the_bound_allows() -> None:
    giant, small = list(range(MAX_RECLUSTERED + 50)), [90_001, 90_002]
    asked: list[int] = []

    def all_scores(articles: np.ndarray) -> np.ndarray:
        asked.append(articles.size)
        return np.ones((articles.size, articles.size))

    touched = {1: CandidateCluster(np.array(giant), 0.3), 2: CandidateCluster(np.array(small), 0.25)}
    assert propose_clusters(100_000, {1: touched[1]}, all_scores, no_outlets) == (
        ClusterProposal(1, (*giant, 100_000)),
    )
    propose_clusters(100_000, touched, all_scores, no_outlets)
    assert all(size <= MAX_RECLUSTERED for size in asked)
