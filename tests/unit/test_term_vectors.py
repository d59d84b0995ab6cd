from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestd.core.events.term_vectors import (
    EVEN_SCORE,
    LARGEST_PENALTY,
    TermVectorStore,
    compute_time_penalty,
    estimate_probability,
)
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.text.term_weights import TERM_BITS, TermVector

weights = st.dictionaries(st.integers(0, 40), st.floats(0.1, 1.0), min_size=0, max_size=15)


def create_vector(drawn: dict[int, float]) -> TermVector:
    terms = sorted(drawn)
    values = np.array([drawn[t] for t in terms], dtype=np.float32)
    norm = np.linalg.norm(values) or 1.0
    return TermVector(create_hashes(terms), values / np.float32(norm), "")


def create_hashes(terms: Sequence[int]) -> NDArray[np.uint32]:
    """Hashes that begin with these numbers."""
    return np.array(terms, dtype=np.uint32) << np.uint32(32 - TERM_BITS)


def add_vector(vectors: TermVectorStore, terms: TermVector) -> None:
    vectors.add(RaggedArray.from_rows([terms.hashes]), terms.weights)


@given(st.lists(weights, min_size=2, max_size=8), st.data())
def test_cosines_are_those_of_the_dense_vectors(drawn: list[dict[int, float]], data: st.DataObject) -> None:
    vectors, dense = TermVectorStore(articles_at_once=3), np.zeros((len(drawn), 41))
    for i, d in enumerate(drawn):
        v = create_vector(d)
        add_vector(vectors, v)
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
        add_vector(vectors, create_vector(d))
    one = st.sampled_from(range(len(drawn)))
    pairs = np.array(data.draw(st.lists(st.tuples(one, one))), dtype=np.int64).reshape(-1, 2)
    named = vectors.find_shared_terms(pairs[:, 0], pairs[:, 1], most)
    for (a, b), (terms, products) in zip(pairs.tolist(), named, strict=True):
        held = [create_vector(drawn[i]) for i in (a, b)]
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
        add_vector(vectors, create_vector(d))
    keep = sorted(data.draw(st.sets(st.integers(0, len(drawn) - 1), min_size=1)))
    before = [vectors.gather_terms(np.array([i])) for i in keep]
    vectors.compact(np.array(keep))
    add_vector(vectors, create_vector({1: 1.0}))
    for i, (terms, values, _) in enumerate(before):
        assert np.array_equal(vectors.gather_terms(np.array([i]))[0], terms)
        assert np.array_equal(vectors.gather_terms(np.array([i]))[1], values)


def test_two_terms_whose_hashes_begin_alike_are_one() -> None:
    vectors, alike = TermVectorStore(), create_hashes([3, 3, 4]) + np.array([0, 1, 0], dtype=np.uint32)
    values = np.array([0.5, 0.25, 0.5], dtype=np.float32)
    vectors.add(RaggedArray.from_rows([alike, alike[2:]]), np.concatenate([values, values[2:]]))
    terms, _, owner = vectors.gather_terms(np.arange(2))
    assert list(zip(owner.tolist(), terms.tolist(), strict=True)) == [(0, 3), (0, 4), (1, 4)]
    assert np.allclose(vectors.compute_cosines(*np.array([[0], [1], [0]])), 0.25, rtol=0.01)


def test_time_takes_off_a_little_and_an_unknown_date_nothing() -> None:
    penalties = compute_time_penalty(10.0, np.array([10.0, 11.0, 9.0, 400.0, np.nan]))
    assert np.allclose(penalties, [0, 0.02, 0.02, LARGEST_PENALTY, 0])
    assert np.allclose(compute_time_penalty(float("nan"), np.array([1.0, np.nan])), 0)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_the_probability_rises_with_the_score(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= estimate_probability(low) <= estimate_probability(high) < 1
    assert np.isclose(estimate_probability(EVEN_SCORE), 0.5)
