"""Twice the text takes twice the time, in every reader, for text made to be read in many ways."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

import pytest

from ingestd.core.article import Article
from ingestd.formats.language import detect_language
from ingestd.workers.extract import compute_fingerprints
from tests.formats.test_documents import read_document

BODY = "The council of the town voted to rebuild the bridge over the river. " * 12
_CLEAR_S = 0.1  # of processor time; shorter runs say nothing about growth, and stop nobody
_LONG_S = 0.6  # growth is clear by then
_MOST_GROWTH = 8.0  # of four times the text: 4 is linear, 16 quadratic

Make = Callable[[int], bytes]


def make_record(**fields: object) -> bytes:
    return json.dumps({"title": "A headline", "text": BODY} | fields).encode()


def make_page(body: str = "", head: str = "") -> bytes:
    page = (
        f"<html><head><title>A headline</title>{head}</head><body><article><p>{BODY}</p>{body}</article></body></html>"
    )
    return page.encode()


def repeat(piece: str) -> Callable[[int], str]:
    """Return a function from a length to a repeated piece of about this length."""
    return lambda n: piece * (n // len(piece) + 1)


def number(piece: str) -> Callable[[int], str]:
    """Return a function from a length to a piece with ever new numbers."""
    return lambda n: "".join(piece.replace("#", str(i)) for i in range(n // (len(piece) + 3) + 1))


IN_FIELD = {
    "blanks": repeat(" "), "new lines": repeat("\n"), "commas": repeat("a, "), "and": repeat(" and"), "an": repeat(" an"),
    "references": repeat("&#38;"), "ampersands": repeat("&"), "digits": repeat("9"), "long reference": lambda n: "&#" + "9" * n + ";",
    "zeros": lambda n: "&#" + "0" * n + "65;", "dots": repeat("m."), "slashes": repeat("/"), "brackets": repeat("("),
    "colons": repeat("1:"), "percent": repeat("%25"), "addresses": repeat("http://e.org/"), "queries": repeat("a=1&"),
    "misread": repeat("Ã©"), "more misread": repeat("â€™Ã"), "accents": repeat("\u0301"), "accents by turns": repeat("\u0301\u0316"),
}  # fmt: skip
IN_TEXT = {
    "blanks": repeat(" "), "tabs and lines": repeat("\n \t"), "tags": repeat("<p>"), "open tags": repeat("<p "), "bold": repeat("<b>"),
    "less": repeat("<"), "comments": repeat("<!--"), "stray lines": repeat("Read more here\n"), "copyright": repeat("© 2020 by a b\n"),
    "sign up": repeat("sign up for our "), "bylines": repeat("By Ann By Bob\n"), "dates": repeat("1 January 2025, "), "dated lines": repeat("1 May 2025\n"),
    "attributes": lambda n: "<p " + number("a#=1 ")(n) + ">", "end tags": repeat("</p>"), "hyphens": repeat("ab-\n"),
    "accents by turns": repeat("\u0301\u0316"), "references to accents": repeat("&#x301;&#x316;"),
}  # fmt: skip
IN_MARKDOWN = {
    piece: repeat(piece)
    for piece in ("![", "[", "[a](", "![a](", "[a][", "![a]", "[a]: b 'c\n", "![]", "*a ", "**a", "_a ", "***a** b* ", "`", "`a``b```", "<", "<a ", "<!--",
                  "<?", "<![CDATA[", "<http://a.b/", "&", "&#", "\\", "|", "|a", "> ", "- a\n", "- ", "1. a\n", "# ", "# a\n", "```", "~~~\n", "a\n=\n",
                  "![`]` ", "[a](<b", "[a](b (", '[a](b "', "\t", "\n>", "|a|b|\n|-|-|\n", "]", "![a](b) ", "![\n")
} | {
    "wide table": lambda n: "|a" * (n // 8) + "|\n" + "|-" * (n // 8) + "|\n" + "|\n" * (n // 8),
    "nested images": lambda n: "![" * (n // 6) + "](b)" * (n // 6),
    "nested labels": lambda n: "![" * (n // 3) + "]" * (n // 3),
    "ever longer list": lambda n: "".join(" " * (i % 40) + "- a\n" for i in range(n // 24)),
}  # fmt: skip
IN_FRONT_MATTER = {
    "+++": {
        "dotted key": lambda n: "a." * (n // 2) + "b = 1",
        "quoted keys": lambda n: '"\\"". ' * (n // 6) + "b = 1",
        "dotted table": lambda n: "[" + "a . " * (n // 4) + "b]",
        "inline tables": lambda n: "x = {" + "'\"'." * (n // 4) + "b = 1}",
        "brackets": lambda n: "x = " + "[" * n,
        "quotes": lambda n: 'x = """' + '"" ' * (n // 3),
        "keys": number("a# = 1\n"),
        "tables": number("[a.b#]\n"),
    },
    "---": {
        "brackets": lambda n: "x: " + "[" * n,
        "quotes": lambda n: "x: '" + "''" * (n // 2) + "'",
        "times": lambda n: "x: 1" + ":1" * (n // 2),
        "keys": number("a#: 1\n"),
        "questions": repeat("? "),
        "dashes": repeat("- "),
        "merges": number("<<: {a#: 1}\n"),
    },
}
IN_PAGE = {
    piece: repeat(piece)
    for piece in ("<div>", "<b>", "<table><tr><td>", "<p>x y z</p>", "<a href=x>y</a>", "<br>", "<hr>", "&", "<", "<!--", "<!--x-->", "<time>x</time>y ",
                  "<h2>a</h2>b ", "<article><h2>h</h2>x</article>", "<article>", "<h1>", "<time datetime=2025>x</time>", "<span class=author>by A B</span>",
                  "&#38;", "1/1/2025 ", "<a title='", "<li>a", "<img src=a alt=b>", "<div class='comment sidebar'>x</div>", " ", "\n", "<script>",
                  "<script type='application/ld+json'>{\"@type\":\"NewsArticle\",\"headline\":\"a\",\"url\":\"http://e.org/a\"}</script>")
} | {
    "attributes": lambda n: "<div " + number("a#=1 ")(n) + ">x</div>",
    "attributes without values": lambda n: "<div " + number("a# ")(n) + ">x</div>",
    "quoted attributes": lambda n: "<div " + number("a#='>'")(n) + ">x</div>",
    "attributes of an end tag": lambda n: "<div>x</div " + number("a#=1 ")(n) + ">",
    "times in a paragraph": lambda n: "</article><article><h2>a</h2><p>" + "<time>x</time>y " * (n // 16) + f"</p>{BODY}</article>",
    "times outside": lambda n: f"</article><article><h2>a</h2>{BODY}" + "<time>x</time>y " * (n // 16) + "</article>",
}  # fmt: skip
IN_HEAD = {
    "author": lambda n: f"<meta name=author content='x{' ' * n}y'>",
    "title": lambda n: f"<meta property='og:site_name' content='S'><meta property='og:title' content='a{' ' * n}b'>",
    "site in the title": lambda n: (
        f"<meta property='og:site_name' content='{'a - ' * (n // 8)}x'><meta property='og:title' content='{' - a' * (n // 8)}'>"
    ),
    "article body": lambda n: (
        '<script type="application/ld+json">{"@type":"NewsArticle","headline":"h","articleBody":"' + "a b " * (n // 4) + '"}</script>'
    ),
    "graph": lambda n: '<script type="application/ld+json">' + "[" * 200 + '{"@type":"Person"},' * (n // 20) + "</script>",
    "canonical address": lambda n: f"<link rel=canonical href='http://e{chr(0x301) + chr(0x316)}" + "&#x301;&#x316;" * (n // 14) + ".org/a'>",
    "links": repeat("<link rel=canonical href='http://e.org/a'>"),
    "meta": number("<meta name=a# content=b>"),
    "charset": repeat("<meta "),
}  # fmt: skip
_ITEM = "<item><title>A</title><link>http://e.org/a</link><description>b c</description></item>"
IN_FEED = {
    "items": repeat(_ITEM), "open items": repeat("<item>"), "comments": repeat("<!--a-->"), "instructions": repeat("<?a b?>"), "entities": repeat("&nbsp;"),
    "name spaces": number("<a xmlns:n#='u#'/>"), "attributes": lambda n: "<a " + number("b#='1' ")(n) + "/>",
    "declarations": lambda n: "<a " + number("xmlns:b#='1' ")(n) + "/>",
    "nested items": lambda n: "<item>" * 200 + "<title>x</title>" * (n // 16) + "</item>" * 200,
    "cdata": lambda n: f"<item><title>a</title><description><![CDATA[<p>{BODY}{'<b>' * (n // 3)}]]></description></item>",
}  # fmt: skip
_WARC = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.org/a\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"


def make_cases() -> dict[str, tuple[str, Make]]:  # noqa: C901 - a table, in the form of loops
    cases: dict[str, tuple[str, Make]] = {}

    def add(label: str, name: str, make: Make) -> None:
        assert label not in cases
        cases[label] = (name, make)

    for what, text in IN_FIELD.items():
        for field in ("title", "authors", "url", "date", "id", "source_domain", "language"):
            add(f"{field}: {what}", "a.json", lambda n, f=field, t=text: make_record(**{f: f"http://e.org/x{t(n)}y"}))
        add(f"host: {what}", "a.json", lambda n, t=text: make_record(url=f"http://{t(n)}e.org/"))
    for what, text in IN_TEXT.items():
        add(f"text: {what}", "a.json", lambda n, t=text: make_record(text=f"<p>{BODY}\n{t(n)}x"))
        add(f"plain text: {what}", "a.txt", lambda n, t=text: f"A headline\n{t(n)}x\n{BODY}".encode())
        add(f"page text: {what}", "a.html", lambda n, t=text: make_page(f"<p>{t(n)}x</p>"))
    for what, text in IN_MARKDOWN.items():
        add(f"markdown: {what!r}", "a.md", lambda n, t=text: f"A headline\n\n{t(n)}".encode())
    for mark, texts in IN_FRONT_MATTER.items():
        for what, text in texts.items():
            add(f"{mark} {what}", "a.md", lambda n, t=text, m=mark: f"{m}\n{t(min(n, 60_000))}\n{m}\n{BODY}".encode())
    for what, text in IN_PAGE.items():
        add(f"page: {what}", "a.html", lambda n, t=text: make_page(t(n)))
    for what, text in IN_HEAD.items():
        add(f"head: {what}", "a.html", lambda n, t=text: make_page(head=t(n)))
    for what, text in IN_FEED.items():
        add(
            f"feed: {what}",
            "a.xml",
            lambda n, t=text: f"<rss version='2.0'><channel>{t(n)}{_ITEM}</channel></rss>".encode(),
        )
        add(
            f"nitf: {what}",
            "a.xml",
            lambda n, t=text: f"<nitf><body><body.content><p>{t(n)}</p></body.content></body></nitf>".encode(),
        )
    add("json: lines", "a.jsonl", lambda n: b"{\n" * (n // 2))
    add("json: broken", "a.json", lambda n: b"{\n" * (n // 2))
    add("json: quotes", "a.json", lambda n: b'{"' * (n // 2))
    add("json: brackets", "a.json", lambda n: b"[" * n)
    add("json: surrogates", "a.json", lambda n: b'{"title":"t","text":"' + b"\\ud800 " * (n // 7) + b'"}')
    add("json: keys", "a.json", lambda n: make_record(**{f"k{i}": 1 for i in range(n // 10)}))
    add("text: other encoding", "a.txt", lambda n: b"caf\xe9 " * (n // 5))
    add("warc: headers", "a.warc", lambda n: b"WARC/1.0\r\n" + b"A: b\r\n" * (n // 6) + b"\r\n")
    add("warc: folded headers", "a.warc", lambda n: b"WARC/1.0\r\nA: b\r\n" + b" c\r\n" * (n // 4) + b"\r\n")
    add("warc: empty records", "a.warc", lambda n: (_WARC % (0, b"")) * (n // 140))
    return cases


CASES = make_cases()


def measure(name: str, data: bytes) -> float:
    """Return the processor time from the bytes to the fingerprints."""
    started = time.process_time()
    articles = [result for result in read_document(data, name) if isinstance(result, Article)]
    for article in articles:
        detect_language(article.title, article.text)
    compute_fingerprints(articles)
    return time.process_time() - started


def check_growth(label: str, sizes: Iterable[int]) -> None:
    """Fail if the time grows by more than `_MOST_GROWTH` where the size doubles twice; end where growth is clear."""
    name, make = CASES[label]
    for size in sizes:
        data = make(size)
        took = measure(name, data)
        if took < _CLEAR_S:
            continue
        quarter = measure(name, make(size // 4))
        for _ in range(4):  # a busy machine is slow by turns
            if took < max(_CLEAR_S, _MOST_GROWTH * quarter):
                break
            took, quarter = min(took, measure(name, data)), min(quarter, measure(name, make(size // 4)))
        detail = f"{label}: {size} bytes take {took:.2f} s, a quarter of them {quarter:.2f} s"
        assert took < max(_CLEAR_S, _MOST_GROWTH * quarter), detail
        if took > _LONG_S:
            return


@pytest.fixture(scope="module", autouse=True)
def load_libraries() -> None:
    """Load libraries and tables before time is measured."""
    for name, data in (
        ("a.html", make_page()), ("a.md", b"---\na: 1\n---\nA text"), ("a.md", b"+++\na = 1\n+++\nA text"),
        ("a.txt", b"caf\xe9 a"), ("a.json", make_record(url="http://e.org/\u00e9", text="a\u0301" + "\u0301" * 40)),
    ):  # fmt: skip
        measure(name, data)


# Each was quadratic once.
ONCE_QUADRATIC = (
    "authors: blanks", "head: site in the title", "host: dots", "markdown: '!['", "+++ dotted key", "+++ quoted keys",
    "page: attributes", "page: attributes without values", "page: quoted attributes", "host: accents by turns",
    "plain text: accents by turns", "page text: references to accents",
)  # fmt: skip


@pytest.mark.parametrize("label", ONCE_QUADRATIC)
def test_twice_the_text_takes_twice_the_time(label: str) -> None:
    check_growth(label, (1 << power for power in range(13, 19)))


@pytest.mark.parametrize("family", sorted({label.partition(" ")[0] for label in CASES}))
def test_no_reader_takes_much_longer_for_twice_the_text(family: str, long: bool) -> None:
    sizes = [1 << power for power in range(13, 19)] if long else [1 << 13]
    for label in CASES:
        if label.partition(" ")[0] == family:
            check_growth(label, sizes)
