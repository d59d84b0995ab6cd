from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.text.term_lookup import TermLookup
from ingestd.core.text.term_weights import TERM_BITS, TermVector

BELOW = 32 - TERM_BITS
terms = st.dictionaries(st.integers(0, 5), st.text("aß字", min_size=1, max_size=3), max_size=4)


def create_terms(words: dict[int, str], *, known: bool = True) -> TermVector:
    hashes = np.array(sorted(words), dtype=np.uint32) << np.uint32(BELOW)
    lines = "\n".join(words[term] for term in sorted(words)) if known else ""
    return TermVector(hashes, np.ones(hashes.size, dtype=np.float32), lines)


@given(
    st.dictionaries(st.integers(1, 6), st.tuples(terms, st.booleans())),
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 6))),
)
def test_a_word_is_found_for_its_term_and_in_its_article_alone(
    articles: dict[int, tuple[dict[int, str], bool]], asked: list[tuple[int, int]]
) -> None:
    lookup = TermLookup({article: create_terms(words, known=known) for article, (words, known) in articles.items()})
    places = lookup.find_terms([article for article, _ in asked], np.array([t for _, t in asked], dtype=np.uint32))
    found = [None if place < 0 else lookup.read_word(place) for place in places]
    words = {article: words for article, (words, known) in articles.items() if known}
    assert found == [words.get(article, {}).get(term) for article, term in asked]


def test_of_two_terms_whose_hashes_begin_alike_the_first_names_both() -> None:
    hashes = np.array([3 << BELOW, (3 << BELOW) + 1, 4 << BELOW], dtype=np.uint32)
    lookup = TermLookup({1: TermVector(hashes, np.ones(3, dtype=np.float32), "one\nother\nthird")})
    assert list(map(lookup.read_word, lookup.find_terms([1, 1], np.array([3, 4], dtype=np.uint32)))) == [
        "one",
        "third",
    ]
