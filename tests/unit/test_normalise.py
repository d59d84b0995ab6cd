from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.text.normalise import normalise_text

# Texts as newsrooms write them, and texts as nobody does.
punctuated = st.text(alphabet="abcXYZ 019.,-\n‘’“”–—…«»°§£€\u00a0\u2003\u200b\u00adéÉßﬁ")
texts = st.one_of(st.text(), punctuated)


def split_words(normalised: bytes) -> list[str]:
    return re.findall(r"[a-z0-9\u0080-\U0010ffff]+", normalised.decode())


@given(texts)
def test_applying_it_twice_changes_nothing_more(text: str) -> None:
    once = normalise_text(text)
    assert split_words(normalise_text(once.decode())) == split_words(once)


@given(texts)
def test_composed_and_decomposed_characters_are_the_same(text: str) -> None:
    composed = split_words(normalise_text(unicodedata.normalize("NFC", text)))
    assert split_words(normalise_text(unicodedata.normalize("NFD", text))) == composed


@given(punctuated)
def test_a_letter_beyond_ascii_changes_no_other_word(text: str) -> None:
    # One such letter sends the whole text the long way.
    assert split_words(normalise_text(f"{text} é")) == [*split_words(normalise_text(text)), "é"]


@given(texts, st.sampled_from(["’", "“", "—", "…", "\u00a0", "«", "€", "!", "\n"]))
def test_punctuation_of_any_kind_only_separates_words(text: str, mark: str) -> None:
    joined = split_words(normalise_text(f"{text}{mark} {text}"))
    assert joined == split_words(normalise_text(text + " ")) * 2


def test_case_makes_no_difference_in_any_alphabet() -> None:
    assert split_words(normalise_text("ÉCOLE Überfall ДУМА ΑΘΗΝΑ ŁÓDŹ")) == [
        "école",
        "überfall",
        "дума",
        "αθηνα",
        "łódź",
    ]


def test_a_word_broken_at_the_end_of_a_line_is_joined() -> None:
    assert normalise_text("The govern-\nment fell") == b"the government fell"
    assert normalise_text("Die Bau-\nstelle am Mühl-\nbach").decode() == "die baustelle am mühlbach"


def test_marks_beyond_any_text_count_for_nothing() -> None:
    turns = "\u0301\u0316"
    assert normalise_text("a" + turns * 15 + " b") == normalise_text("a" + turns * 4000 + " b")
    assert normalise_text("a" + "\u0301" * 30 + "b") != normalise_text("a" + "\u0301" * 29 + "b")
