"""The documents of the table test: every shape of file from scrapers and archives, with the expected articles."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from backports import zstd

from tests.formats.stories import AR, DE, EN, EN2, ES, FR, JA, RU, Story

DAY = "2025-02-04"


@dataclass(frozen=True)
class Expected:
    """The expected values of an article."""

    story: Story
    date: str | None = None  # the beginning of the ISO date in UTC, in the precision of the source
    source: str | None = None
    outlet: str | None = None
    authors: tuple[str, ...] | None = None
    url: str | None = None  # canonical


@dataclass(frozen=True)
class Document:
    """A file, and the expected results."""

    name: str
    content: bytes
    articles: Sequence[Expected]
    rejected: Sequence[str] = ()  # reasons
    skipped: Mapping[str, int] = field(default_factory=dict)


def make_text(story: Story, *top: str, stray: str = "Advertisement", encoding: str = "utf-8") -> bytes:
    first, *rest = story.paragraphs
    return "\n\n".join((story.title, *top, first, stray, *rest)).encode(encoding)


def make_page(
    story: Story,
    head: str = "",
    *,
    time: str = "",
    encoding: str = "utf-8",
    declare: bool = True,
    title: bool = True,
    byline: str = "",
) -> bytes:
    """A page of a news site, with menus, teasers, a call to subscribe, and a footer."""
    meta = f'<meta charset="{encoding}">' if declare else ""
    name = f"<title>{escape(story.title)} | {escape(story.outlet)}</title>" if title else ""
    paragraphs = "\n".join(f"<p>{escape(p)}</p>" for p in story.paragraphs)
    return f"""<!DOCTYPE html>
<html lang="{story.lang}"><head>{meta}{name}{head}</head>
<body>
<header><nav><ul><li><a href="/">Start</a></li><li><a href="/sport">Sport</a></li><li><a href="/tv">TV</a></li></ul></nav></header>
<main><article><h1>{escape(story.title)}</h1>{byline}{time}
{paragraphs}
</article></main>
<aside class="related"><h3>+++</h3><ul><li><a href="/a">12345</a></li><li><a href="/b">67890</a></li></ul></aside>
<div class="newsletter-signup subscribe"><form><p>{escape(story.around)}</p><input type="email"><button>OK</button></form></div>
<footer><p>{escape(story.around)}</p><p>© 2025 {escape(story.outlet)}</p></footer>
</body></html>""".encode(encoding, "xmlcharrefreplace")


def make_json_ld(story: Story, published: str, **more: object) -> str:
    value = {
        "@context": "https://schema.org", "@type": "NewsArticle", "headline": story.title, "datePublished": published,
        "author": [{"@type": "Person", "name": story.author}],
        "publisher": {"@type": "Organization", "name": story.outlet}, **more,
    }  # fmt: skip
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


def make_open_graph(story: Story, **tags: str) -> str:
    named = {"og:title": story.title, "og:site_name": story.outlet, "og:type": "article"}
    return "".join(f'<meta property="{k}" content="{escape(v)}">' for k, v in {**named, **tags}.items())


def render_paragraphs(story: Story) -> str:
    return "".join(f"<p>{escape(p)}</p>\n" for p in story.paragraphs)


def make_rss(*items: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    return f"""{head}
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:media="http://search.yahoo.com/mrss/"><channel><title>Harbour Post</title><link>https://post.example/</link>
{"".join(items)}</channel></rss>""".encode()


def make_item(story: Story, content: str, number: int = 1) -> str:
    return f"""<item><title>{escape(story.title)}</title><link>https://post.example/{number}?utm_medium=rss</link>
<guid isPermaLink="false">post-{number}</guid><dc:creator>{story.author}</dc:creator>
<media:title>A picture</media:title><pubDate>Tue, 04 Feb 2025 10:32:00 +0100</pubDate>{content}</item>"""


def make_encoded_content(story: Story) -> str:
    return f"<description>{escape(story.first[:40])}</description><content:encoded><![CDATA[{render_paragraphs(story)}]]></content:encoded>"


def make_atom(*entries: str) -> bytes:
    return f"""<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>La Gazette du Large</title>
{"".join(entries)}</feed>""".encode()


def make_atom_entry(story: Story, content: str) -> str:
    return f"""<entry><title type="html">{escape(escape(story.title))}</title><id>tag:example,2025:1</id>
<link rel="self" href="https://gazette.example/feed/1"/><link href="https://gazette.example/1"/>
<published>2025-02-04T10:32:00+01:00</published><updated>2025-02-05T08:00:00Z</updated>
<author><name>{story.author}</name></author><summary>…</summary>{content}</entry>"""


def make_nitf(story: Story) -> str:
    return f"""<nitf><head><title>{escape(story.title)}</title><docdata><doc-id id-string="agency.1"/>
<date.issue norm="20250204T103200+0100"/><doc.copyright holder="{story.outlet}" year="2025"/></docdata></head>
<body><body.head><hedline><hl1>{escape(story.title)}</hl1></hedline><byline>By {story.author}</byline></body.head>
<body.content>{render_paragraphs(story)}<media><caption>{escape(story.around)}</caption></media></body.content></body></nitf>"""


def make_news_item(story: Story, content: str, number: int = 1) -> str:
    return f"""<newsItem xmlns="http://iptc.org/std/nar/2006-10-01/" guid="urn:newsml:agency:{number}" xml:lang="{story.lang}">
<itemMeta><provider literal="{story.outlet}"/><versionCreated>2025-02-04T12:00:00+01:00</versionCreated></itemMeta>
<contentMeta><contentCreated>2025-02-04T10:32:00+01:00</contentCreated><by>By {story.author}</by>
<headline>{escape(story.title)}</headline><language tag="{story.lang}"/></contentMeta>
<contentSet>{content}</contentSet></newsItem>"""


def make_xhtml(story: Story) -> str:
    return f"""<inlineXML contenttype="application/xhtml+xml"><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head>
<body>{render_paragraphs(story)}</body></html></inlineXML>"""


def make_warc_record(
    kind: str, url: str, block: bytes, content_type: str = "application/http; msgtype=response"
) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{abs(hash(url)) % 10**12:012}>\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def make_response(
    url: str, body: bytes, status: str = "200 OK", content_type: str = "text/html; charset=utf-8", more: str = ""
) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return make_warc_record("response", url, head.encode() + body)


def list_warc_records(*extra: bytes) -> Sequence[bytes]:
    return (
        make_warc_record("warcinfo", "x", b"software: a crawler\r\n", "application/warc-fields"),
        make_warc_record("request", "https://post.example/ferry", b"GET /ferry HTTP/1.1\r\n\r\n", "application/http"),
        make_response(
            "https://post.example/ferry?utm_source=a", make_page(EN, make_json_ld(EN, "2025-02-04T10:32:00+01:00"))
        ),
        *extra,
    )


def pack_zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def pack_tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def make_record(story: Story, **fields: object) -> dict[str, object]:
    return {"title": story.title, "text": story.text, **fields}


def dump_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def dump_lines(*values: object) -> bytes:
    return b"\n".join(dump_json(v) for v in values) + b"\n"


STAMP = "2025-02-04T09:32"  # 10:32 at +01:00

TEXT = [
    Document("2025-02-04-ferry.txt", make_text(EN), [Expected(EN, DAY, "file")]),
    Document("a.txt", make_text(EN, "Published On 4 Feb 20254 Feb 2025"), [Expected(EN, DAY, "text")]),
    Document("b.txt", make_text(EN, "By Dana Whitlock, harbour correspondent", "4 February 2025 10:32 GMT", stray="Read more"),
             [Expected(EN, "2025-02-04T10:32", "text", authors=("Dana Whitlock",))]),
    Document("c.txt", make_text(EN2, "Last updated: February 4, 2025 at 3:05 p.m. ET", "By Ines Okafor and Dana Whitlock", stray="Share this"),
             [Expected(EN2, "2025-02-04T20:05", "text", authors=("Ines Okafor", "Dana Whitlock"))]),
    Document("d.txt", make_text(DE, "Von Jörg Müller", "4. Februar 2025, 10.32 Uhr", stray="Anzeige"),
             [Expected(DE, "2025-02-04T10:32", "text", authors=("Jörg Müller",))]),
    Document("e.txt", make_text(FR, "Par Maëlle Rivière", "Publié le 4 février 2025 à 10h32", stray="Lire aussi"),
             [Expected(FR, "2025-02-04T10:32", "text", authors=("Maëlle Rivière",))]),
    Document("f.txt", make_text(ES, "Publicado el 4 de febrero de 2025"), [Expected(ES, DAY, "text")]),
    Document("g.txt", make_text(RU, "Автор: Ольга Смирнова", "4 февраля 2025 г., 10:32", stray="Реклама"),
             [Expected(RU, "2025-02-04T10:32", "text", authors=("Ольга Смирнова",))]),
    Document("h.txt", make_text(JA, "2025年2月4日 10:32"), [Expected(JA, "2025-02-04T10:32", "text")]),
    Document("i.txt", make_text(AR, "4 فبراير 2025"), [Expected(AR, DAY, "text")]),
    Document("j.txt", make_text(DE, "04.02.2025", encoding="cp1252"), [Expected(DE, DAY, "text")]),
    Document("k.txt", make_text(RU, encoding="cp1251"), [Expected(RU)]),
    Document("l.txt", make_text(EN2, encoding="utf-16"), [Expected(EN2)]),
    Document("m.txt", b"\xef\xbb\xbf" + make_text(ES), [Expected(ES)]),
    Document("n.txt", make_text(FR).decode().encode().decode("cp1252", "replace").encode() if False else "\n\n".join((FR.title, *FR.paragraphs)).encode().decode("latin-1").encode(), [Expected(FR)]),
]  # fmt: skip

MARKDOWN = [
    Document("a.md", f'---\ntitle: "{EN.title}"\ndate: 2025-02-04\nauthor: {EN.author}\nurl: https://post.example/ferry\n---\n\n{EN.text}\n'.encode(),
             [Expected(EN, DAY, "record", "post.example", (EN.author,), "https://post.example/ferry")]),
    Document("b.md", f'+++\ntitle = "{DE.title}"\ndate = 2025-02-04T10:32:00+01:00\npublisher = "{DE.outlet}"\n+++\n{DE.text}\n'.encode(),
             [Expected(DE, STAMP, "record", DE.outlet)]),
    Document("c.md", f"# {FR.title}\n\n*Par {FR.author}*\n\n**{FR.paragraphs[0]}**\n\n![phare](https://x.example/p.jpg)\n\n> {FR.paragraphs[1]}\n\n{FR.paragraphs[2]}\n".encode(),
             [Expected(FR, authors=(FR.author,))]),
    Document("d.markdown", f"---\r\ntitle: {ES.title}\r\nauthors:\r\n  - {ES.author}\r\nlang: es\r\npublished: 2025-02-04 10:32:00+01:00\r\n---\r\n# {ES.title}\r\n\r\n{ES.text}".encode(),
             [Expected(ES, STAMP, "record", authors=(ES.author,))]),
    Document("without-ending", f"---\ntitle: {RU.title}\ndate: 4 февраля 2025\n---\n{RU.text}\n".encode(), [Expected(RU, DAY, "record")]),
]  # fmt: skip

HTML = [
    Document("a.html", make_page(EN, make_json_ld(EN, "2025-02-04T10:32:00+01:00") + '<link rel="canonical" href="https://www.post.example/ferry?utm_source=x">'),
             [Expected(EN, STAMP, "json-ld", EN.outlet, (EN.author,), "https://post.example/ferry")]),
    Document("b.html", make_page(EN2, make_open_graph(EN2, **{"article:published_time": "2025-02-04T10:32:00+01:00", "og:url": "https://courier.example/bread"})),
             [Expected(EN2, STAMP, "meta", EN2.outlet, url="https://courier.example/bread")]),
    Document("c.html", make_page(DE, make_open_graph(DE), time='<time datetime="2025-02-04T10:32:00+01:00">Heute</time>'), [Expected(DE, STAMP, "meta", DE.outlet)]),
    Document("d.html", make_page(FR, make_json_ld(FR, "2025-02-04", **{"@graph": []})), [Expected(FR, DAY, "json-ld", FR.outlet, (FR.author,))]),
    Document("e.html", make_page(ES, '<link rel="canonical" href="https://sierra.example/2025/02/04/montana">'),
             [Expected(ES, DAY, "url", "sierra.example", url="https://sierra.example/2025/02/04/montana")]),
    Document("f.html", make_page(RU, make_open_graph(RU, **{"article:published_time": DAY}), encoding="windows-1251"), [Expected(RU, DAY, "meta", RU.outlet)]),
    Document("g.html", make_page(JA, make_json_ld(JA, "2025-02-04T10:32:00+09:00"), encoding="shift_jis"), [Expected(JA, "2025-02-04T01:32", "json-ld", JA.outlet)]),
    Document("h.html", make_page(AR, make_open_graph(AR, **{"article:published_time": "2025-02-04T10:32:00Z"})), [Expected(AR, "2025-02-04T10:32", "meta", AR.outlet)]),
    Document("i.html", make_page(EN, make_json_ld(EN2, "2024-01-01") + make_json_ld(EN, "2025-02-04T10:32:00+01:00") + make_open_graph(EN)), [Expected(EN, STAMP, "json-ld", EN.outlet)]),
    Document("j.html", make_page(EN, f'<script type="application/ld+json">{json.dumps({"@graph": [{"@type": "Organization", "name": "X"}, {"@type": ["ReportageNewsArticle"], "headline": EN.title, "datePublished": "2025-02-04T10:32:00+01:00", "author": {"name": EN.author}, "publisher": {"name": EN.outlet}, "url": "https://post.example/amp/ferry"}]})}</script>'),
             [Expected(EN, STAMP, "json-ld", EN.outlet, (EN.author,), "https://post.example/ferry")]),
    Document("k.html", b'<?xml version="1.0" encoding="utf-8"?>\n' + make_page(DE, make_open_graph(DE), declare=False), [Expected(DE, outlet=DE.outlet)]),
    Document("l.html", make_page(FR, make_open_graph(FR), encoding="iso-8859-1"), [Expected(FR, outlet=FR.outlet)]),
    Document("m.html", make_page(EN2, byline="<p class='byline'>By Ines Okafor</p>", time="<p>4 February 2025 10:32 GMT</p>"), [Expected(EN2, "2025-02-04T10:32", "text", authors=("Ines Okafor",))]),
    Document("several.html", f"""<html><head><title>Blog</title><link rel="canonical" href="https://blog.example/"></head><body>
<article><h2><a href="/one">{EN.title}</a></h2><time datetime="2025-02-04">x</time>{render_paragraphs(EN)}</article>
<article><h2><a href="/two">{EN2.title}</a></h2>{render_paragraphs(EN2)}</article><footer>{EN.around} {EN2.around}</footer></body></html>""".encode(),
             [Expected(EN, DAY, "meta", "blog.example", url="https://blog.example/one"), Expected(EN2, None, None, "blog.example", url="https://blog.example/two")]),
    Document("front.html", ("<html><head><title>Front</title></head><body>" + "".join(
        f'<article><h2><a href="/{n}">Story number {n}</a></h2><p>Teaser of it.</p></article>' for n in range(6)) + "</body></html>").encode(), [], ["schema"]),
    Document("error.json", make_page(EN), [], ["type"]),
]  # fmt: skip

JSON = [
    Document("news-please.json", dump_json({"maintext": EN.text, "title": EN.title, "date_publish": "2025-02-04 10:32:00", "date_download": "2026-01-01 00:00:00", "source_domain": "post.example", "url": "https://m.post.example/ferry?fbclid=1", "authors": [EN.author], "language": "en"}),
             [Expected(EN, "2025-02-04T10:32", "record", "post.example", (EN.author,), "https://post.example/ferry")]),
    Document("trafilatura.json", dump_json({"title": DE.title, "author": DE.author, "hostname": "anzeiger.example", "date": DAY, "source-hostname": "Anzeiger", "source": "https://anzeiger.example/storch", "text": DE.text.replace("\n\n", "\n"), "comments": DE.around}),
             [Expected(DE, DAY, "record", "anzeiger.example", (DE.author,))]),
    Document("fundus.json", dump_json({"title": FR.title, "body": {"summary": [FR.paragraphs[0]], "sections": [{"headline": [], "paragraphs": list(FR.paragraphs[1:])}]}, "publishing_date": "2025-02-04T10:32:00+01:00", "authors": [FR.author]}),
             [Expected(FR, STAMP, "record", authors=(FR.author,))]),
    Document("newspaper4k.json", dump_json({"source_url": "https://sierra.example", "url": "https://sierra.example/1", "title": ES.title, "text": ES.text, "publish_date": "2025-02-04T10:32:00+01:00", "authors": [ES.author], "summary": ES.around}),
             [Expected(ES, STAMP, "record", "sierra.example", (ES.author,), "https://sierra.example/1")]),
    Document("scrapy.json", dump_json([{"headline": f" {RU.title} ", "content": render_paragraphs(RU) + "<script>x()</script>", "date": "04.02.2025", "link": "https://vestnik.example/most/"}]),
             [Expected(RU, DAY, "record", "vestnik.example", url="https://vestnik.example/most")]),
    Document("schema.json", dump_json({"@type": "NewsArticle", "headline": JA.title, "articleBody": JA.text, "datePublished": "2025-02-04T10:32:00+09:00", "author": {"@type": "Person", "name": JA.author}, "publisher": {"name": JA.outlet}, "inLanguage": "ja"}),
             [Expected(JA, "2025-02-04T01:32", "record", JA.outlet, (JA.author,))]),
    Document("mediacloud.json", dump_json({"id": "abc", "title": EN2.title, "text": EN2.text, "publish_date": DAY, "media_name": "courier.example", "language": "en", "url": "http://courier.example/bread"}),
             [Expected(EN2, DAY, "record", "courier.example", url="https://courier.example/bread")]),
    Document("telegram.json", dump_json({"title": RU.title, "text": RU.text, "site_name": RU.outlet, "timestamp": 1738661520, "url": "https://vestnik.example/2"}),
             [Expected(RU, "2025-02-04T09:32:00", "record", RU.outlet)]),
    Document("newsapi.json", dump_json({"status": "ok", "totalResults": 2, "articles": [{"source": {"id": None, "name": EN.outlet}, "author": EN.author, "title": EN.title, "publishedAt": "2025-02-04T09:32:00Z", "content": EN.text}, {"source": {"name": EN2.outlet}, "title": EN2.title, "content": EN2.text}]}),
             [Expected(EN, STAMP, "record", EN.outlet, (EN.author,)), Expected(EN2, outlet=EN2.outlet)]),
    Document("elastic.json", dump_json({"hits": {"total": 1, "hits": [{"_id": "x1", "_source": make_record(AR, published=DAY, outlet=AR.outlet)}]}}), [Expected(AR, DAY, "record", AR.outlet)]),
    Document("graph.json", dump_json({"@graph": [{"@type": "Person", "name": "X"}, {"@type": "Article", "headline": ES.title, "articleBody": ES.text, "datePublished": DAY}]}), [Expected(ES, DAY, "record")]),
    Document("lines.jsonl", dump_lines(make_record(EN, date=1738661520000), make_record(EN2, date="None")), [Expected(EN, "2025-02-04T09:32:00", "record"), Expected(EN2)]),
    Document("some-bad.ndjson", dump_json(make_record(DE)) + b'\n{"title": "cut o\n' + dump_json(make_record(FR)) + b"\n", [Expected(DE), Expected(FR)], ["parse"]),
    Document("without-ending", dump_lines(make_record(ES), make_record(RU)), [Expected(ES), Expected(RU)]),
    Document("entities.json", dump_json(make_record(EN2, title="Night train &amp; bread")), [Expected(EN2)]),
    Document("latin.json", json.dumps(make_record(FR, date="Tue, 04 Feb 2025 10:32:00 +0100"), ensure_ascii=False).encode("cp1252"), [Expected(FR, STAMP, "record")]),
]  # fmt: skip

XML = [
    Document("a.rss", make_rss(make_item(EN, make_encoded_content(EN)), make_item(EN2, make_encoded_content(EN2), 2)),
             [Expected(EN, STAMP, "record", "Harbour Post", (EN.author,), "https://post.example/1"), Expected(EN2, STAMP, "record", "Harbour Post")]),
    Document("b.xml", make_rss(make_item(DE, f"<description>{escape(render_paragraphs(DE))}</description>")), [Expected(DE, STAMP, "record", "Harbour Post")]),
    Document("teaser.xml", make_rss(make_item(EN, f"<description>{EN.first}</description>"), make_item(FR, make_encoded_content(FR), 2)), [Expected(FR, STAMP, "record", "Harbour Post")], ["schema"]),
    Document("entities.xml", make_rss(make_item(ES, make_encoded_content(ES))).replace(b"Harbour Post", b"Diario&nbsp;de la Sierra"), [Expected(ES, STAMP, "record", "Diario de la Sierra")]),
    Document("c.atom", make_atom(make_atom_entry(FR, f'<content type="html">{escape(render_paragraphs(FR))}</content>')),
             [Expected(FR, STAMP, "record", "La Gazette du Large", (FR.author,), "https://gazette.example/1")]),
    Document("d.atom", make_atom(make_atom_entry(RU, f'<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">{render_paragraphs(RU)}</div></content>')),
             [Expected(RU, STAMP, "record", authors=(RU.author,))]),
    Document("e.rdf", f"""<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel rdf:about="x"><title>{JA.outlet}</title></channel>
<item rdf:about="https://kitahama.example/1"><title>{JA.title}</title><link>https://kitahama.example/1</link><dc:date>2025-02-04T10:32:00+09:00</dc:date>
<content:encoded><![CDATA[{render_paragraphs(JA)}]]></content:encoded></item></rdf:RDF>""".encode(), [Expected(JA, "2025-02-04T01:32", "record", JA.outlet)]),
    Document("f.xml", f'<?xml version="1.0"?><!DOCTYPE nitf SYSTEM "nitf-3-4.dtd">{make_nitf(EN)}'.encode(), [Expected(EN, STAMP, "record", EN.outlet, (EN.author,))]),
    Document("g.xml", make_news_item(DE, make_xhtml(DE)).encode(), [Expected(DE, STAMP, "record", DE.outlet, (DE.author,))]),
    Document("h.xml", make_news_item(FR, f'<inlineXML contenttype="application/nitf+xml">{make_nitf(FR)}</inlineXML>').encode(), [Expected(FR, STAMP, "record", FR.outlet)]),
    Document("i.xml", f"""<newsMessage xmlns="http://iptc.org/std/nar/2006-10-01/"><header/><itemSet><packageItem guid="p"/>
{make_news_item(ES, make_xhtml(ES))}{make_news_item(AR, f'<inlineData contenttype="text/plain">{AR.text}</inlineData>', 2)}</itemSet></newsMessage>""".encode(),
             [Expected(ES, STAMP, "record", ES.outlet), Expected(AR, STAMP, "record", AR.outlet)], (), {"package of references": 1}),
    Document("sitemap.xml", b'<?xml version="1.0"?><urlset><url><loc>https://x.example/</loc></url></urlset>', [], ["type"]),
]  # fmt: skip

_PAGES = [Expected(EN, STAMP, "json-ld", EN.outlet, (EN.author,), "https://post.example/ferry")]
WARC = [
    Document("a.warc", b"".join(list_warc_records()), _PAGES),
    Document("b.warc.gz", b"".join(gzip.compress(r) for r in list_warc_records()), _PAGES),
    Document("c.warc.zst", zstd.compress(b"".join(list_warc_records())), _PAGES),
    Document("d.warc", b"".join(list_warc_records(
        make_response("https://post.example/gone", b"not here", "404 Not Found"),
        make_response("https://post.example/pier.jpg", b"\xff\xd8\xff", content_type="image/jpeg"),
        make_warc_record("revisit", "https://post.example/ferry", b"HTTP/1.1 200 OK\r\n\r\n"),
        make_response("https://vestnik.example/most", make_page(RU, make_open_graph(RU), encoding="windows-1251", declare=False), content_type="text/html; charset=windows-1251"),
        make_response("https://gazette.example/phare", gzip.compress(make_page(FR, make_open_graph(FR))), more="Content-Encoding: gzip\r\n"),
    )), [*_PAGES, Expected(RU, outlet=RU.outlet, url="https://vestnik.example/most"), Expected(FR, outlet=FR.outlet, url="https://gazette.example/phare")],
        (), {"status 404": 1, "not HTML": 1, "revisit": 1}),
]  # fmt: skip

PACKED = [
    Document("2025-02-04-a.html.gz", gzip.compress(make_page(DE, make_open_graph(DE))), [Expected(DE, DAY, "file", DE.outlet)]),
    Document("b.json.bz2", bz2.compress(dump_json(make_record(ES, date=DAY))), [Expected(ES, DAY, "record")]),
    Document("c.jsonl.xz", lzma.compress(dump_lines(make_record(EN), make_record(EN2))), [Expected(EN), Expected(EN2)]),
    Document("d.xml.zst", zstd.compress(make_rss(make_item(AR, make_encoded_content(AR)))), [Expected(AR, STAMP, "record", "Harbour Post")]),
    Document("e.gz", gzip.compress(make_text(JA)[:200]) + gzip.compress(make_text(JA)[200:]) + b"\0" * 100, [Expected(JA)]),
    Document("f.zip", pack_zip({"a/ferry.html": make_page(EN, make_open_graph(EN)), "__MACOSX/a/._ferry.html": b"x", "b/": b"", "b/2025-02-04.txt": make_text(RU), "../c.txt": make_text(FR), "d.md": f"# {DE.title}\n\n{DE.text}".encode()}),
             [Expected(EN, outlet=EN.outlet), Expected(RU, DAY, "file"), Expected(DE)], ["archive"], {"hidden member": 1}),
    Document("g.tar", pack_tar({"x.json": dump_json(make_record(FR)), "y.jsonl.gz": gzip.compress(dump_lines(make_record(ES), make_record(AR)))}), [Expected(FR), Expected(ES), Expected(AR)]),
    Document("h.tgz", gzip.compress(pack_tar({"x.rss": make_rss(make_item(EN2, make_encoded_content(EN2))), "y.warc": b"".join(list_warc_records())})), [Expected(EN2, STAMP, "record", "Harbour Post"), *_PAGES]),
]  # fmt: skip

DOCUMENTS = [*TEXT, *MARKDOWN, *HTML, *JSON, *XML, *WARC, *PACKED]
