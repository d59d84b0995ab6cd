"""
Measure the speed of reading each kind of file, beside the library under the reader.

    python -m tests.benchmark.formats [ARTICLES]      of each kind (1,000)

One process, from bytes to articles: no language, no fingerprint, no database. Every pair is measured by turns, five
times each; the table shows medians. The last line spreads pages over all cores, both ways.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from html import escape
from zoneinfo import ZoneInfo

import orjson
import trafilatura
from lxml import etree
from markdown_it import MarkdownIt
from warcio.archiveiterator import ArchiveIterator

from ingestd.core.article import Article
from ingestd.formats import ReadLimits, Record, parse_record, read_records
from tests.formats.documents import make_response, make_rss
from tests.support.made_corpus import Made, articles

LIMITS = ReadLimits(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
RUNS = 5
PAGES_AT_ONCE = 16
Files = Sequence[tuple[str, bytes]]


def count_articles(files: Files) -> int:
    """Read the files and return the number of articles."""
    count = 0
    for name, content in files:
        for record in read_records(io.BytesIO(content), name, LIMITS):
            if isinstance(record, Record):
                count += sum(isinstance(a, Article) for a in parse_record(record, LIMITS))
    return count


def make_page(made: Made) -> bytes:
    """Return a page as heavy as on news sites: scripts, menus, teasers, a footer."""
    data = {"@type": "NewsArticle", "headline": made.title, "datePublished": made.published.isoformat(),
            "author": {"@type": "Person", "name": "Dana Whitlock"}, "publisher": {"name": made.outlet}}  # fmt: skip
    menu = "".join(f'<li class="menu-item"><a href="/section/{n}" title="{n}">Section {n}</a></li>' for n in range(60))
    teasers = "".join(
        f'<div class="teaser"><a href="/story/{n}"><img src="/{n}.jpg" alt=""><h3>Story number {n}</h3></a><p>Why it is so.</p></div>'
        for n in range(40)
    )
    body = "".join(f"<p>{escape(p)}</p>" for p in made.text.split("\n\n"))
    return f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(made.title)} | {made.outlet}</title>
<meta property="og:title" content="{escape(made.title)}"><meta property="og:type" content="article">
<link rel="canonical" href="https://{made.outlet}/{made.id}"><script>{"var a = 1;" * 2000}</script><style>{".a{{b:c}}" * 500}</style>
<script type="application/ld+json">{json.dumps(data)}</script></head><body><header><nav><ul>{menu}</ul></nav></header>
<main><article><h1>{escape(made.title)}</h1><p class="byline">By Dana Whitlock</p>{body}</article></main>
<aside>{teasers}</aside><footer><ul>{menu}</ul><p>All rights reserved.</p></footer></body></html>""".encode()


def extract_pages(pages: Sequence[bytes]) -> int:
    """Return the number of pages with a text, read by trafilatura alone, with metadata."""
    return sum(trafilatura.bare_extraction(p, include_comments=False, with_metadata=True) is not None for p in pages)


def make_kinds(made: Sequence[Made]) -> dict[str, tuple[Files, str, Callable[[], object]]]:
    """Return by kind of file: files, the name of the library, and the same work done by the library."""
    rows = [
        {
            "id": a.id,
            "title": a.title,
            "text": a.text,
            "outlet": a.outlet,
            "published": a.published.isoformat(),
            "url": f"https://{a.outlet}/{a.id}",
        }
        for a in made
    ]
    texts = [(f"{a.id}.txt", f"{a.title}\nPublished {a.published:%Y-%m-%d %H:%M}\n{a.text}\n".encode()) for a in made]
    single = [(f"{r['id']}.json", json.dumps(r).encode()) for r in rows]
    lines = b"".join(json.dumps(r).encode() + b"\n" for r in rows)
    pages = [(f"{a.id}.html", make_page(a)) for a in made]
    feed = make_rss(*(
        f"<item><title>{escape(a.title)}</title><link>https://{a.outlet}/{a.id}</link><pubDate>{a.published:%a, %d %b %Y %H:%M:%S} GMT</pubDate>"
        f"<content:encoded><![CDATA[{''.join(f'<p>{escape(p)}</p>' for p in a.text.split(chr(10) * 2))}]]></content:encoded></item>"
        for a in made
    ))  # fmt: skip
    markdown = [
        (f"{a.id}.md", f"---\ntitle: {json.dumps(a.title)}\ndate: {a.published:%Y-%m-%d}\n---\n{a.text}\n".encode())
        for a in made
    ]
    crawl = b"".join(make_response(f"https://{a.outlet}/{a.id}", p) for a, (_, p) in zip(made, pages, strict=True))
    html = [content for _, content in pages]
    gz, bz = gzip.compress(lines), bz2.compress(lines)
    return {
        "text": (texts, "bytes.decode", lambda: [c.decode() for _, c in texts]),
        "JSON, a file each": (single, "orjson", lambda: [orjson.loads(c) for _, c in single]),
        "JSON lines": ([("a.jsonl", lines)], "orjson", lambda: [orjson.loads(line) for line in lines.splitlines()]),
        "JSON lines, gzip": ([("a.jsonl.gz", gz)], "gzip, orjson", lambda: [orjson.loads(r) for r in gzip.decompress(gz).splitlines()]),
        "JSON lines, bzip2": ([("a.jsonl.bz2", bz)], "bz2, orjson", lambda: [orjson.loads(r) for r in bz2.decompress(bz).splitlines()]),
        "RSS": ([("a.rss", feed)], "lxml", lambda: [list(i.itertext()) for i in etree.fromstring(feed, etree.XMLParser(huge_tree=True)).iter("item")]),
        "Markdown": (markdown, "markdown-it", lambda: [MarkdownIt().parse(c.decode()) for _, c in markdown]),
        "HTML": (pages, "trafilatura", lambda: extract_pages(html)),
        "WARC": ([("a.warc", crawl)], "warcio, trafilatura",
                 lambda: extract_pages([r.content_stream().read() for r in ArchiveIterator(io.BytesIO(crawl))])),
    }  # fmt: skip


def measure_seconds(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare_speed(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Return the median seconds of each, measured by turns; the first turn warms up."""
    turns = [(measure_seconds(ours), measure_seconds(theirs)) for _ in range(RUNS + 1)][1:]
    return statistics.median(t[0] for t in turns), statistics.median(t[1] for t in turns)


def main(n: int) -> None:
    logging.disable(logging.CRITICAL)
    made = list(articles(n))
    print(f"{'':<20}{'articles/s':>12}   {'beside':<22}{'articles/s':>12}{'time, ours/theirs':>20}")
    for kind, (files, library, theirs) in make_kinds(made).items():
        assert count_articles(files) == n, kind
        ours_s, theirs_s = compare_speed(partial(count_articles, files), theirs)
        print(
            f"{kind:<20}{n / ours_s:>12,.0f}   {library:<22}{n / theirs_s:>12,.0f}{ours_s / theirs_s:>20.2f}",
            flush=True,
        )
    cores = os.cpu_count() or 1
    pages = [(f"{a.id}.html", make_page(a)) for a in made]
    pieces = [pages[i : i + PAGES_AT_ONCE] for i in range(0, n, PAGES_AT_ONCE)]
    with ProcessPoolExecutor(cores) as pool:
        ours_s, theirs_s = compare_speed(
            lambda: list(pool.map(count_articles, pieces)),
            lambda: list(pool.map(extract_pages, [[c for _, c in p] for p in pieces])),
        )
    print(
        f"{f'HTML, {cores} processes':<20}{n / ours_s:>12,.0f}   {'trafilatura':<22}{n / theirs_s:>12,.0f}{ours_s / theirs_s:>20.2f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
