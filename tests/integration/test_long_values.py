"""Values that no database indexes: bounded before the database, and unequal values stay unequal."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pytest

from ingestd.core.article import MAX_NAME_BYTES, MAX_URL_BYTES, Article, bound_keys, shorten_key
from ingestd.core.source_file import MAX_PATH_BYTES
from ingestd.query.articles import find_article_id
from tests.conftest import Corpus

NOISE = "".join(random.Random(1).choices(string.ascii_letters, k=100_000))  # does not compress
FIELDS = {
    "url": [f"http://e.example/{NOISE[:5000]}/{n}" for n in (1, 2)],
    "id": [NOISE + n for n in "12"],
    "outlet": [NOISE + n for n in "12"],
    "language": [NOISE] * 2,
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_long_value_is_stored_and_known_again(field: str, corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    values = FIELDS[field]
    texts = [f"The council voted to build bridge number {n} over the river." for n in (1, 2)]
    for number, (value, text) in enumerate(zip(values, texts, strict=True)):
        corpus.write({f"{number}.json": {"title": "Council", "text": text, "id": f"id-{number}", field: value}})
    assert corpus.ingest().articles == 2
    corpus.write({"again.json": [{"title": "Council", "text": texts[0], "id": "id-0", field: values[0]}]})
    assert (corpus.ingest().repeats, corpus.rows("select count(*) from articles")) == (1, [2])
    with corpus.database.begin_read() as connection:
        if field in ("url", "id"):
            (second,) = corpus.rows("select id from articles where text like '%number 2%'")
            assert find_article_id(connection, values[1]) == second


def test_a_bounded_value_has_its_length_and_stays_as_it_is() -> None:
    for value in ("ä" * 3000, NOISE):
        cut = shorten_key(value, MAX_NAME_BYTES)
        assert cut is not None
        assert MAX_NAME_BYTES - 1 <= len(cut.encode()) <= MAX_NAME_BYTES
        assert shorten_key(cut, MAX_NAME_BYTES) == cut
        assert shorten_key(value + "!", MAX_NAME_BYTES) != cut
    article = Article(title="t", text="t", url_canonical="https://e.example/1", external_id="1", outlet="Post")
    assert bound_keys(article) is article
    assert shorten_key("x" * MAX_URL_BYTES, MAX_URL_BYTES) == "x" * MAX_URL_BYTES


def test_id_and_outlet_fit_into_one_index_entry(corpus_on_each: Corpus) -> None:
    record = {"title": "Council", "text": "The council voted on Monday.", "id": NOISE, "outlet": NOISE[::-1]}
    assert corpus_on_each.take_in(a=record).articles == 1


def test_a_path_that_no_ledger_indexes_is_named_and_left_and_the_others_are_stored(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    folders = [NOISE[n * 200 : n * 200 + 200] for n in range(13)]
    (corpus.folder / Path(*folders)).mkdir(parents=True)
    corpus.write(
        {"/".join([*folders, "long.json"]): {"title": "a", "text": "b"}, "ok.json": {"title": "a", "text": "b"}}
    )
    stats = corpus.ingest()
    assert stats.articles == 1
    ((path, reason),) = stats.quarantined or ()
    assert path.endswith("long.json")
    assert f"at most {MAX_PATH_BYTES} are allowed" in reason
    assert corpus.rows("select path from source_files") == ["ok.json"]


def test_the_longest_path_allowed_is_stored(corpus_on_each: Corpus) -> None:
    corpus = corpus_on_each
    room = MAX_PATH_BYTES - len(os.fsencode(corpus.folder)) - len("/x.json")
    folders = [NOISE[n * 200 : n * 200 + 199] for n in range(room // 200)]
    corpus.write({"/".join([*folders, "x.json"]): {"title": "a", "text": "b"}})
    assert corpus.ingest().articles == 1
