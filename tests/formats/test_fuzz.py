"""Whatever a file holds comes to articles or to a named error: never a crash, never a file or a connection opened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.formats.documents import DOCUMENTS
from tests.formats.fuzz import NAMES, check_bytes

SHORT = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
INTERESTING = [b"", b"\0", b"<", b">", b"]]>", b"<!--", b"&#x0;", b"&a;", b"{", b'"', b"\\ud800", b"\xff", b"\r\n", b"---\n", b"\x1f\x8b",
               b"9" * 400, b"[" * 2000, b"<div>" * 500, b"WARC/1.0\r\n", b"Content-Length: 99999999999\r\n", b"PK\x03\x04"]  # fmt: skip


@st.composite
def draw_damaged_document(draw: st.DrawFn) -> tuple[bytes, str]:
    """A document of the table with a part cut out, doubled, replaced, or taken from another document."""
    document = draw(st.sampled_from(DOCUMENTS))
    data = document.content
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 200)))
        other = draw(st.sampled_from(DOCUMENTS)).content
        at = draw(st.integers(0, len(other)))
        piece = draw(
            st.sampled_from([*INTERESTING, data[start:end] * 2, other[at : at + 300], draw(st.binary(max_size=20))])
        )
        data = data[:start] + piece + data[end:]
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    return data, draw(st.sampled_from([document.name, *NAMES]))


@SHORT
@given(draw_damaged_document())
def test_damaged_documents_come_to_articles_or_named_errors(file: tuple[bytes, str]) -> None:
    check_bytes(*file)


@SHORT
@given(st.binary(max_size=2000), st.sampled_from(NAMES))
def test_random_bytes_come_to_articles_or_named_errors(data: bytes, name: str) -> None:
    check_bytes(data, name)


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "-" + "9" * 400, "0x" + "f" * 5000])
@pytest.mark.parametrize("key", ["date", "id", "title", "author", "url", "lang"])
@pytest.mark.parametrize(("mark", "equals"), [("---", ": "), ("+++", " = ")])
def test_a_number_of_any_size_in_front_matter_is_no_fault_of_ours(
    mark: str, equals: str, key: str, number: str
) -> None:
    check_bytes(f"{mark}\n{key}{equals}{number}\n{mark}\n\nA text of some words.\n".encode(), "a.md")


@pytest.mark.parametrize("digits", ["²" * 9, "①" * 12, "٣" * 10, "9" * 5000])
def test_digits_of_any_kind_in_a_date_are_no_fault_of_ours(digits: str) -> None:
    check_bytes(json.dumps({"title": "A headline", "text": "Some words.", "date": digits}).encode(), "a.json")
    check_bytes(f"A headline\n{digits}\n2 {digits} 2025\n\nSome words.\n".encode(), "a.txt")


@pytest.mark.parametrize("reference", ["&#" + "9" * 5000 + ";", "&#" + "0" * 5000 + "65;", "&#x" + "f" * 5000 + ";"])
@pytest.mark.parametrize("ampersand", ["&", "&amp;", "&amp;amp;"])
def test_a_character_reference_of_any_size_is_no_fault_of_ours(ampersand: str, reference: str) -> None:
    text = f"A {ampersand}{reference[1:]} B"
    body = "The council voted to rebuild the bridge over the river. " * 20
    for key in ("title", "text", "authors", "outlet", "url", "id", "language", "date"):
        check_bytes(json.dumps({"title": "A headline", "text": body, key: f"http://e.org/{text}"}).encode(), "a.json")
        check_bytes(json.dumps({"title": "A headline", "text": body, key: f"<p>{text}</p>"}).encode(), "a.json")
    for place in ("title", "link", "author", "guid", "pubDate", "description"):
        check_bytes(f"<rss><channel><item><{place}>{text}</{place}></item></channel></rss>".encode(), "a.xml")
    structured = json.dumps(
        {"@type": "NewsArticle", "headline": text, "author": text, "url": text, "articleBody": text}
    )
    for head in (
        f"<title>{text}</title>", f"<meta property='og:title' content='{text}'>", f"<meta name=author content='{text}'>",
        f"<meta property='og:url' content='http://e.org/{text}'>", f"<meta name=keywords content='{text}'>",
        f"<script type='application/ld+json'>{structured}</script>",
    ):  # fmt: skip
        check_bytes(f"<html><head>{head}</head><body><p>{body}{text}</p></body></html>".encode(), "a.html")
    check_bytes(f"# {text}\n\n{body} {text} [a](http://e.org/{text})\n".encode(), "a.md")
    check_bytes(f"---\ntitle: '{text}'\n---\n\n{body}\n".encode(), "a.md")


@pytest.mark.parametrize(
    ("opening", "name"),
    [
        (b"[", "a.json"), (b'{"a":', "a.json"), (b"[", "a.txt"), (b"<div>", "a.html"), (b"<rss><channel>", "a.xml"),
        (b"<item>", "a.xml"), (b"> ", "a.md"), (b"- ", "a.md"), (b"# ", "a.md"),
    ],
)  # fmt: skip
def test_a_hundred_thousand_levels_are_survived(opening: bytes, name: str) -> None:
    check_bytes(opening * 100_000, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", "Title\n\nBy M" + "ÿ" * 90 + "!\n\nText of it."),
        ("a.txt", "Title\n\nАвтор: " + "и " * 44 + "!\n\nText of it."),
        ("a.txt", "Title\n\nBy " + "A, b" * 24 + "!\n\nText of it."),
        ("a.txt", "Title\n\n" + "on at by " * 10 + "4 May 2025 impossibly\n\nText of it."),
        ("a.html", "<!-- -->" * 5000 + "x"),
        ("a.xml", "<!-- --><?x ?>" * 4000 + "x"),
        ("a.xml", "<!DOCTYPE a [ ]>" * 3000 + "x"),
        ("a.json", '{"a": "' + '\\"' * 500_000),
        ("a.md", "---\n" + "a: b\n" * 10_000),
    ],
)
def test_text_made_to_be_read_in_many_ways_is_read_in_one(name: str, data: str) -> None:
    signal.setitimer(signal.ITIMER_REAL, 20)  # the process ends if it is not: it would take years
    try:
        check_bytes(data.encode(), name)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.long
def test_ten_minutes_of_looking_for_bytes_that_break_it_find_none() -> None:
    pytest.importorskip("atheris")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.formats.look_for_bytes", "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    print(ended.stderr[-2000:])
    assert ended.returncode == 0, ended.stderr[-5000:]
