from __future__ import annotations

import re
import unicodedata

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from ingestd.core.text import tokens
from ingestd.core.text.term_weights import TermWeighter
from ingestd.core.text.tokens import HashIndex, tokenize_caseless, tokenize_texts

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
PLAIN_WORD = re.compile(r"[^\W_]+")
UNSPACED = "漢字カ"

# Few characters, so that every border is met: between words, scripts and texts, and after an apostrophe.
text = st.text("ab1A'’ \n-_.éİßǅ½\u00ad漢字カ𝒜\ud800", max_size=30) | st.text(max_size=20)


def find_words(text: str) -> list[str]:
    """Return the words by a regular expression, of a text without unspaced scripts."""
    return WORD.findall(unicodedata.normalize("NFKC", text.replace("\u00ad", "")))


@given(st.lists(text, min_size=1, max_size=6))
def test_words_are_those_that_a_regular_expression_finds(drawn: list[str]) -> None:
    spaced = [re.sub(f"[{UNSPACED}]", " ", text) for text in drawn]
    assume(not any(tokens._UNSPACED_RUN.search(unicodedata.normalize("NFKC", text)) for text in spaced))
    found = tokenize_texts(spaced)
    expected = [find_words(text) for text in spaced]
    assert found.take(np.arange(found.begins.size)) == [word for of_text in expected for word in of_text]
    assert found.counts.tolist() == [len(of_text) for of_text in expected]


@given(st.lists(text, min_size=1, max_size=6))
def test_equal_words_have_equal_hashes_and_others_others(drawn: list[str]) -> None:
    found = tokenize_texts(drawn)
    by_hash: dict[int, str] = {}
    by_word: dict[str, int] = {}
    for word, hash_ in zip(found.take(np.arange(found.begins.size)), found.hashes.tolist(), strict=True):
        assert by_hash.setdefault(hash_, word) == word
        assert by_word.setdefault(word, hash_) == hash_


@given(text)
def test_caseless_tokens_are_all_runs_of_letters_and_digits(drawn: str) -> None:
    found = tokenize_caseless(drawn)
    assert found.take(np.arange(found.begins.size)) == PLAIN_WORD.findall(drawn)


@given(text)
def test_caseless_tokens_that_differ_in_case_alone_have_one_hash(drawn: str) -> None:
    found = tokenize_caseless(drawn)
    folded = ["".join(low if len(low := c.lower()) == 1 else c for c in w) for w in PLAIN_WORD.findall(drawn)]
    by_word = dict(zip(folded, found.hashes.tolist(), strict=True))
    assert found.hashes.tolist() == [by_word[word] for word in folded]
    assert len(set(by_word.values())) == len(by_word)


@given(st.lists(st.text("aBé_. ", max_size=8)))
def test_caseless_tokens_are_the_same_when_a_long_text_is_read_in_pieces(drawn: list[str]) -> None:
    whole = tokenize_caseless(" ".join(drawn))
    pieces = tokenize_caseless(" ".join(drawn), batch_characters=12)
    for one, other in ((whole.begins, pieces.begins), (whole.ends, pieces.ends), (whole.hashes, pieces.hashes)):
        assert one.tolist() == other.tolist()


def test_unspaced_scripts_come_in_overlapping_pairs() -> None:
    found = tokenize_texts(["Die 漢字カ-Frage", "字"])
    assert found.take(np.arange(found.begins.size)) == ["Die", "漢字", "字カ", "Frage", "字"]
    assert found.counts.tolist() == [4, 1]


@given(st.lists(text, min_size=1, max_size=4))
def test_a_text_that_is_read_in_pieces_has_the_same_words(drawn: list[str]) -> None:
    whole = tokenize_texts([f"{text} a" for text in drawn])
    pieces = tokenize_texts([f"{text} a" for text in drawn], batch_characters=40)
    assert pieces.hashes.tolist() == whole.hashes.tolist()
    assert pieces.counts.tolist() == whole.counts.tolist()


@given(st.lists(st.lists(st.integers(1, 30) | st.integers(1, 2**64 - 1), max_size=30), max_size=5))
def test_every_hash_keeps_its_number(drawn: list[list[int]]) -> None:
    numbers, given_to, names = HashIndex(min_slots=4), {}, iter(range(1_000))
    for batch in drawn:
        hashes = np.array(batch, dtype=np.uint64)

        def assign_numbers(first: np.ndarray, batch: list[int] = batch) -> np.ndarray:
            new = [batch[i] for i in first.tolist()]
            assert not given_to.keys() & set(new)
            assert len(set(new)) == len(new)
            given_to.update(zip(new, names, strict=False))
            return np.array([given_to[hash_] for hash_ in new])

        found = numbers.get_or_add(hashes, assign_numbers)
        assert found.tolist() == [given_to[hash_] for hash_ in batch]
    assert list(given_to.values()) == sorted(given_to.values())  # in the order in which they came


articles = st.lists(st.tuples(st.none() | text, text), min_size=1, max_size=5)


@given(articles, st.integers(1, 4))
def test_the_terms_of_an_article_do_not_depend_on_those_beside_it(
    drawn: list[tuple[str | None, str]], kept: int
) -> None:
    def create_weigher() -> TermWeighter:
        return TermWeighter("en", lambda new: [10 ** -(1 + len(word) % 3) for word in new], kept_terms=kept)

    together = create_weigher().weigh_articles(drawn)
    alone = [create_weigher().weigh_article(*article) for article in drawn]
    for one, other in zip(together, alone, strict=True):
        assert one.words == other.words
        assert np.array_equal(one.hashes, other.hashes)
        assert np.array_equal(one.weights, other.weights)
        assert one.hashes.size <= kept
