from __future__ import annotations

from ingestd.formats.language import detect_language
from tests.support.made_corpus import articles


def test_invented_names_at_its_beginning_do_not_make_an_english_text_foreign() -> None:
    languages = {made.id: detect_language(made.title, made.text)[0] for made in articles(600)}
    assert {id_: lang for id_, lang in languages.items() if lang != "en"} == {}


def test_a_text_without_words_has_no_language() -> None:
    assert detect_language(None, "1984 - 2025") == (None, 0.0)
