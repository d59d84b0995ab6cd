from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.normalise import normalise


@given(st.text())
def test_applying_it_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text)
    assert normalise(once).split() == once.split()


@given(st.text())
def test_composed_and_decomposed_characters_are_the_same(text: str) -> None:
    composed = normalise(unicodedata.normalize("NFC", text))
    assert normalise(unicodedata.normalize("NFD", text)).split() == composed.split()


def test_a_word_broken_at_the_end_of_a_line_is_joined() -> None:
    assert normalise("The govern-\nment fell") == "the government fell"
