from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.copies.overlap import measure_overlap
from ingestd.core.text.shingles import SHORT_WORDS, WIDTH, hash_shingles

words = st.text(alphabet="abcdefgh", min_size=1, max_size=6)
long_texts = st.lists(words, min_size=SHORT_WORDS, max_size=80).map(" ".join)


def list_shingles(text: str) -> set[tuple[str, ...]]:
    """Return the word shingles of a text, without hashes."""
    found = re.findall(r"[^\W_]+", text.lower())
    return {tuple(found[i : i + WIDTH]) for i in range(len(found) - WIDTH + 1)}


@given(long_texts, long_texts)
def test_overlap_of_hashed_shingles_is_that_of_the_shingles_themselves(one: str, other: str) -> None:
    hashed = measure_overlap(*hash_shingles([one, other]))
    a, b = list_shingles(one), list_shingles(other)
    assert (hashed.shared, hashed.size, hashed.other_size) == (len(a & b), len(a), len(b))
    assert hashed.jaccard == len(a & b) / len(a | b)


@given(st.lists(st.text(max_size=300), min_size=1, max_size=6))
def test_a_batch_gives_what_each_text_gives_alone(texts: list[str]) -> None:
    together = hash_shingles(texts)
    assert all(np.array_equal(a, hash_shingles([text])[0]) for a, text in zip(together, texts, strict=True))


@given(st.lists(st.text(max_size=300), min_size=1, max_size=6))
def test_every_text_has_a_sorted_set_of_at_least_one_shingle(texts: list[str]) -> None:
    for shingles in hash_shingles(texts):
        assert shingles.size >= 1
        assert np.all(np.diff(shingles.astype(np.int64)) > 0)


@given(st.lists(words, min_size=1, max_size=SHORT_WORDS - 1), st.lists(words, min_size=1, max_size=SHORT_WORDS - 1))
def test_short_texts_share_a_shingle_only_when_they_are_equal(one: list[str], other: list[str]) -> None:
    a, b = hash_shingles([" ".join(one), " ".join(other)])
    assert (measure_overlap(a, b).shared == 1) == (one == other)


def test_typography_makes_no_difference() -> None:
    plain = 'The minister said "we won\'t go back" - and left the office at once, ' * 4
    typeset = plain.replace('"we', "“we").replace('back"', "back”").replace("'", "’").replace(" - ", " — ")
    wrapped = (
        typeset.replace("minister", "min\u00adister").replace("office", "of\ufb01ce").replace("at once", "at\u00a0once")
    )
    sets = hash_shingles([plain, typeset, wrapped.replace("of\ufb01ce", "o\ufb03ce")])
    assert np.array_equal(sets[0], sets[1])
    assert np.array_equal(sets[0], sets[2])


def test_text_without_spaces_is_compared_by_its_characters() -> None:
    chinese = "央行周四宣布将基准利率下调半个百分点这是四年来的首次降息市场此前预期降幅较小"
    one, other = hash_shingles([chinese, chinese[:-4] + "令人意外"])
    assert 0.6 < measure_overlap(one, other).jaccard < 1


@given(long_texts)
def test_a_long_text_in_pieces_has_the_shingles_of_the_whole(text: str) -> None:
    assert np.array_equal(hash_shingles([text], long_chars=40)[0], hash_shingles([text])[0])
