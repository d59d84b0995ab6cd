from __future__ import annotations

import numpy as np

from ingestd.core.text.term_weights import PAIR_WEIGHT, TermWeighter

FREQUENCIES = {"the": 5e-2, "of": 3e-2, "said": 2e-3, "minister": 2e-4, "ferry": 1e-5}
weigher = TermWeighter("en", lambda words: [FREQUENCIES.get(w, 0.0) for w in words])


def test_a_rare_word_says_more_than_a_common_one_and_a_number_is_capped() -> None:
    terms = weigher.weigh_article(None, "the minister ferry gannet 48213")
    weight = dict(zip(terms.words, terms.weights.tolist(), strict=True))
    assert weight["the"] < 0.001 < weight["minister"] < weight["48213"] < weight["ferry"] < weight["gannet"]


def test_case_and_a_final_s_make_no_difference_to_a_term() -> None:
    assert weigher.weigh_article(None, "Ferry's ferry FERRY’S").words == ("ferry",)


def test_the_same_word_of_two_languages_is_two_terms() -> None:
    german = TermWeighter("de", lambda words: [0.0] * len(words)).weigh_article(None, "die")
    assert german.words == weigher.weigh_article(None, "die").words
    assert german.hashes.tolist() != weigher.weigh_article(None, "die").hashes.tolist()


def test_terms_are_of_unit_length_and_name_their_words() -> None:
    terms = weigher.weigh_article(
        "Ferry strikes pier", "The ferry Lady Marisol struck the pier.\n\nThe minister said little."
    )
    assert np.isclose(np.linalg.norm(terms.weights), 1.0)
    assert np.all(np.diff(terms.hashes.astype(np.int64)) > 0)
    weight = dict(zip(terms.words, terms.weights.tolist(), strict=True))
    assert weight["pier"] > weight["little"] > weight["minister"]  # in title and lead; in the lead; common
    assert np.isclose(weight["lady marisol"], PAIR_WEIGHT * (weight["lady"] + weight["marisol"]) / 2)


def test_whole_names_tell_apart_who_shares_a_part() -> None:
    def compute_cosine(one: str, other: str) -> float:
        (a, b) = (
            weigher.weigh_article(f"{name} held", f"Police said that {name} was held in Tolbury.")
            for name in (one, other)
        )
        shared = np.intersect1d(a.hashes, b.hashes, return_indices=True)
        return float(a.weights[shared[1]] @ b.weights[shared[2]])

    assert compute_cosine("Jamal Strand", "Jamal Strand") > 0.99
    assert "jamal strand" in weigher.weigh_article(None, "Jamal Strand left. Nobody stayed.").words
    assert "strand nobody" not in weigher.weigh_article(None, "Jamal Strand. And nobody stayed, nobody.").words
    # The first name is shared, the name is not.
    assert compute_cosine("Jamal Strand", "Jamal Vale") < compute_cosine("Jamal Strand", "Strand")


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
    assert weigher.weigh_article(None, "... !!!").hashes.size == 0
