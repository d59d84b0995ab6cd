"""Every shape that scrapers and archives leave is read as the article it holds, without what is around it."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingestd.core.article import Article
from ingestd.errors import UnusableError
from ingestd.formats import ReadLimits, Record, Rejected, Skipped, parse_record, read_records
from ingestd.formats.language import detect_language
from tests.formats.documents import DOCUMENTS, Document, Expected

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = ReadLimits(NOW, ZoneInfo("UTC"))


def read_document(content: bytes, name: str, limits: ReadLimits = LIMITS) -> list[Article | Rejected | Skipped]:
    """Return all results of a file; an error of the file as a whole comes last."""
    results: list[Article | Rejected | Skipped] = []
    try:
        for part in read_records(io.BytesIO(content), name, limits):
            results += parse_record(part, limits) if isinstance(part, Record) else [part]
    except UnusableError as error:
        results.append(Rejected(0, error.reason, error.detail))
    return results


def test_the_table_is_as_wide_as_it_claims() -> None:
    assert len(DOCUMENTS) >= 60
    assert len({e.story.lang for d in DOCUMENTS for e in d.articles}) >= 6


@pytest.mark.parametrize("document", DOCUMENTS, ids=[f"{n}-{d.name}" for n, d in enumerate(DOCUMENTS)])
def test_a_document_is_read_as_what_it_is(document: Document) -> None:
    results = read_document(document.content, document.name)
    assert [r.reason for r in results if isinstance(r, Rejected)] == list(document.rejected)
    assert Counter(s.why for s in results if isinstance(s, Skipped)) == document.skipped
    articles = [a for a in results if isinstance(a, Article)]
    assert len(articles) == len(document.articles), results
    for article, expected in zip(articles, document.articles, strict=True):
        check_article(article, expected)


def check_article(article: Article, expected: Expected) -> None:
    story = expected.story
    assert (article.title or "").replace(" & bread", "") in (story.title, "Night train")
    assert article.text.startswith(story.first)
    assert article.text.rstrip().endswith(story.last)
    assert story.last in article.text
    assert all(paragraph in article.text for paragraph in story.paragraphs)
    assert story.around not in article.text
    assert "Advertisement" not in article.text
    stamp = article.published_at.isoformat() if article.published_at else ""
    assert stamp.startswith(expected.date) if expected.date else not stamp
    assert (article.published_source.value if article.published_source else None) == expected.source
    if expected.outlet:
        assert article.outlet == expected.outlet
    if expected.authors is not None:
        assert article.authors == expected.authors
    if expected.url:
        assert article.url_canonical == expected.url
    assert detect_language(article.title, article.text)[0] == story.lang
