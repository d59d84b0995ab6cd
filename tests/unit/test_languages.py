from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingestd.core.text.boilerplate import LineForms, remove_known_boilerplate
from ingestd.core.text.languages import (
    LANGUAGES,
    Language,
    collect_words,
    find_frequency_list,
    join_words,
    map_ignored_lines,
)
from ingestd.formats import ReadLimits
from ingestd.formats.page_lines import compile_patterns, separate_page_lines
from tests.conftest import ROOT

LIMITS = ReadLimits(datetime(2026, 3, 1, tzinfo=UTC), ZoneInfo("UTC"))
ESPERANTO = Language(
    code="eo",
    weekdays=("mardo",),
    dateline_words=("publikigita",),
    byline_words=("verkis",),
    name_particles=("fon",),
    conjunctions=("kaj",),
    advert_labels=("reklamo",),
    picture_words=("bildo",),
    read_verbs=("legu",),
    also_words=("ankaŭ",),
)
WITH_ESPERANTO = (*LANGUAGES.values(), ESPERANTO)
STORY = "The council voted on Monday to close the old fish market and to build a concert hall in its place by the sea, at last."
LANGUAGE_FILE = ROOT / "ingestd/core/text/languages.py"
ENGLISH_TOO = {"stand"}  # words of other languages that are English words
# Letters that show a wrong encoding, and no words.
LETTERS_ARE_NO_WORDS = (ROOT / "ingestd/formats/encoding.py",)


def test_a_language_is_added_in_one_place_for_readers() -> None:
    lines = ["A title", "Publikigita mardo, 4.2.2025", "Verkis Ana fon Ruz kaj Petro Dal", "Reklamo", STORY]
    before = separate_page_lines(lines, LIMITS)
    assert (before.lines, before.published, before.authors) == (lines, None, ())
    after = separate_page_lines(lines, LIMITS, compile_patterns(WITH_ESPERANTO))
    assert after.lines == ["A title", STORY]
    assert after.published is not None
    assert after.published.at == datetime(2025, 2, 4, tzinfo=UTC)
    assert after.authors == ("Ana fon Ruz", "Petro Dal")


@pytest.mark.parametrize("line", ["Reklamo", "Bildo: AP", "Legu ankaŭ: la nova halo", "Legu más: la nova halo"])
def test_a_language_is_added_in_one_place_for_comparison(line: str) -> None:
    text = f"{line}\n{STORY}"
    assert remove_known_boilerplate(text) == text
    assert remove_known_boilerplate(text, LineForms(map_ignored_lines(WITH_ESPERANTO))) == STORY


def test_every_language_stands_in_the_table_once_and_writes_words_in_lower_case() -> None:
    calls = [node for node in ast.walk(ast.parse(LANGUAGE_FILE.read_text())) if isinstance(node, ast.Call)]
    assert len(LANGUAGES) == sum(isinstance(call.func, ast.Name) and call.func.id == "Language" for call in calls)
    assert [word for word in list_words(*LANGUAGES.values()) if word != word.lower()] == []


def test_a_pattern_has_no_group_that_would_shift_the_groups_of_its_user() -> None:
    names = [field.name for field in fields(Language) if field.name.endswith("_patterns")]
    tuples = [name for name in names if isinstance(getattr(LANGUAGES["en"], name), tuple)]
    assert len(tuples) == 3
    assert {name: re.compile(join_words(name)).groups for name in tuples} == dict.fromkeys(tuples, 0)


@pytest.mark.parametrize(
    ("code", "listed"), [(None, None), ("en", "en"), ("nn", "nb"), ("hr", "sh"), ("tl", "fil"), ("xx", "xx")]
)
def test_a_language_is_found_under_the_code_of_the_word_list(code: str | None, listed: str | None) -> None:
    assert find_frequency_list(code) == listed


def test_no_other_file_holds_words_of_a_language() -> None:
    english = {*list_words(LANGUAGES["en"], LANGUAGES["mul"]), *ENGLISH_TOO}
    foreign = {word for word in list_words(*LANGUAGES.values()) if len(word) >= 5} - english
    strings = [
        (path, string)
        for path in sorted((ROOT / "ingestd").rglob("*.py"))
        if path != LANGUAGE_FILE
        for string in read_strings(path)
    ]
    assert [
        (str(path), string)
        for path, string in strings
        if not foreign.isdisjoint(re.findall(r"[^\W\d_]+", string.lower()))
    ] == []
    assert [
        (str(path), string)
        for path, string in strings
        if path not in LETTERS_ARE_NO_WORDS and any(letter.isalpha() and not letter.isascii() for letter in string)
    ] == []


def list_words(*languages: Language) -> Iterator[str]:
    """Yield the entries of all fields with plain words, and the first words of lines."""
    for field in fields(Language):
        if field.name.endswith("_words") or field.name in ("weekdays", "byline_labels", "advert_labels", "read_verbs"):
            yield from collect_words(field.name, languages)
    for language in languages:
        yield from (word for words in language.ignored_patterns for word in words.split())


def read_strings(path: Path) -> Iterator[str]:
    """Yield the strings of a module, without docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
