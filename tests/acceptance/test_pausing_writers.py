"""Writers that pause for longer than the quiet time: every file is stored whole, and every article once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.formats.stories import DE, EN, EN2, FR
from tests.support.daemon import Daemon
from tests.support.page_server import serve_pages

HEADLINE = "Ferry timetable changes in spring"
FIRST = "The ferry between the two harbours will leave every forty minutes from the first of April onwards."
SECOND = "Commuters had asked for an earlier boat, and the harbour office agreed to try a five o'clock departure."
STORIES = (EN, EN2, DE, FR)
QUIET_S, PAUSE_S = 0.3, 0.8  # a writer pauses for longer than the quiet time
SPIDER = """
import scrapy

class News(scrapy.Spider):
    name = "news"
    custom_settings = {"DOWNLOAD_DELAY": %s, "RANDOMIZE_DOWNLOAD_DELAY": False, "TELNETCONSOLE_ENABLED": False}

    def __init__(self, address):
        super().__init__()
        self.start_urls = [address]

    def parse(self, response):
        yield from response.follow_all(css="li a", callback=self.parse_story)

    def parse_story(self, response):
        text = "\\n\\n".join(response.css("article p::text").getall())
        yield {"url": response.url, "title": response.css("h1::text").get(), "text": text}
"""


def test_a_writer_that_flushes_every_line_and_pauses_is_waited_for(daemon: Daemon) -> None:
    daemon.environment["INGESTD_WATCH__QUIET_SECONDS"] = str(QUIET_S)
    daemon.start()
    script = """if True:
        import json, sys, time
        with open(sys.argv[1], "w") as file:
            for number in range(4):
                record = {"id": str(number), "outlet": "Post", "title": f"Number {number}", "text": f"Text of {number}."}
                print(json.dumps(record), file=file, flush=True)
                time.sleep(1)
    """
    subprocess.run([sys.executable, "-c", script, str(daemon.inbox / "lines.jsonl")], check=True)
    daemon.wait_until(lambda: daemon.list_remaining() == [], 10)
    assert daemon.rows("select state, n_articles from source_files") == [("stored", 4)]
    assert daemon.stop() == 0


def test_a_scrapy_spider_that_writes_into_the_folder_loses_no_item(daemon: Daemon, tmp_path: Path) -> None:
    pytest.importorskip("scrapy")
    daemon.environment["INGESTD_WATCH__QUIET_SECONDS"] = str(QUIET_S)
    daemon.start()
    (tmp_path / "spider.py").write_text(SPIDER % PAUSE_S)
    outputs = [f"{daemon.inbox}/x.json", f"{daemon.inbox}/x.jsonl"]
    with serve_pages(STORIES) as address:
        crawl = subprocess.run(
            [sys.executable, "-m", "scrapy", "runspider", "spider.py", "-a", f"address={address}", "-L", "ERROR",
             "-o", outputs[0], "-o", outputs[1]],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (crawl.returncode, crawl.stderr) == (0, "")
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    assert daemon.stop() == 0
    files = daemon.rows(
        "select path, n_articles from source_files where state in ('stored', 'duplicate') order by path"
    )
    assert files == [("x.json", 4), ("x.jsonl", 4)]
    assert daemon.rows("select title from articles order by title") == sorted(story.title for story in STORIES)


def test_wget_that_waits_between_pages_leaves_every_page_and_a_whole_archive(daemon: Daemon, tmp_path: Path) -> None:
    wget = shutil.which("wget")
    if wget is None:
        pytest.skip("wget is not installed")
    daemon.environment["INGESTD_WATCH__QUIET_SECONDS"] = str(QUIET_S)
    daemon.start()
    with serve_pages(STORIES) as address:
        subprocess.run(
            [wget, "--quiet", "--recursive", f"--wait={PAUSE_S}", f"--directory-prefix={daemon.inbox}",
             f"--warc-file={daemon.inbox}/crawl", f"--warc-tempdir={tmp_path}", address],
            cwd=tmp_path, timeout=120, check=False,
        )  # fmt: skip
    daemon.wait_until(lambda: daemon.list_remaining() == [], 30)
    assert daemon.stop() == 0
    titles = sorted(story.title for story in STORIES)
    marks = ", ".join("?" * len(titles))
    for kind in ("null", "not null"):  # the pages do not say their addresses, and the archive does
        query = f"select title from articles where url is {kind} and title in ({marks}) order by title"
        assert daemon.rows(query, *titles) == titles
    assert daemon.rows("select state from source_files where path = 'crawl.warc.gz'") == ["stored"]


def test_what_is_written_into_the_archive_or_quarantine_is_noticed_and_becomes_a_revision(
    daemon: Daemon, tmp_path: Path
) -> None:
    daemon.start()
    whole = json.dumps({"title": "A record in two parts", "text": SECOND, "url": "https://post.example/parts"})
    (daemon.inbox / "ferry.txt").write_text(f"{HEADLINE}\n{FIRST}\n")
    (daemon.inbox / "cut.json").write_text(whole[:40])
    daemon.drop("other.txt", b"Another headline\nWith a text that nobody writes on.")
    daemon.wait_until(lambda: daemon.rows("select count(*) from source_files where archived_as is not null") == [3], 30)
    places = dict(daemon.rows("select path, archived_as from source_files"))
    for name, rest in (("ferry.txt", SECOND), ("cut.json", whole[40:])):
        with (daemon.inbox / places[name]).open("a") as late:
            late.write(rest)
    stored = "select count(*) from source_files where state = 'stored' and archived_as != '' and detail is null"
    daemon.wait_until(lambda: daemon.rows(stored) == [3], 30)
    time.sleep(1.5)  # another look at the archive
    assert daemon.stop() == 0
    assert daemon.rows("select title, revision from articles order by title") == [
        ("A record in two parts", 1), ("Another headline", 1), (HEADLINE, 2),
    ]  # fmt: skip
    assert daemon.rows("select text from articles where revision = 2") == [f"{FIRST}\n{SECOND}"]
    assert daemon.log.read_text().count("file.changed_after_archive") == 2
    assert daemon.rows("select count(*) from source_files") == [5]
    fsck = subprocess.run(
        [sys.executable, "-m", "ingestd", "--db", daemon.url, "fsck", "--hash"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert fsck.returncode == 0, fsck.stdout
