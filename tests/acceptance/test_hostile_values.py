"""Values that are meant to harm: in articles, in names, on the command line, and passwords in error messages."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer

from ingestd.cli.session import report_errors
from ingestd.cli.watched_folders import explain_unmeant
from ingestd.errors import SettingsError
from ingestd.query.export import ExportedRows, ExportFormat, export_rows
from ingestd.settings import Settings, load_settings
from ingestd.store.database import Database
from tests.conftest import Corpus, Run
from tests.support.commands import Answer, run_commands

DB = ("--db", "sqlite:///c.db")
# Sets the title of a window, in 7 and in 8 bits; deletes; turns the writing direction; begins another line.
HOSTILE = "\x1b]0;taken\x07\x9b31m\x7f\u202egnp\u2066\nFAKE LINE"
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")
STORY = "The harbour office closed the northern quay on Friday after a crane lost its load beside a moored trawler. "


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus in which every text commands the terminal."""
    folder = tmp_path_factory.mktemp("hostile")
    inbox = folder / "inbox"
    inbox.mkdir()
    for number in (1, 2):
        record = {
            "title": f"Quay {number} {HOSTILE}", "text": f"{STORY * 3}{HOSTILE} {number}", "outlet": f"post{number}{HOSTILE}",
            "url": f"http://news.example/{number}{HOSTILE}", "authors": [f"Ann {HOSTILE}"], "id": f"id{number}{HOSTILE}",
            "date": "2025-04-04",
        }  # fmt: skip
        (inbox / f"{number}{HOSTILE.replace('/', '')}.json").write_text(json.dumps(record))
    (inbox / "keys.json").write_text(json.dumps({f"key{HOSTILE}": 1}))
    with zipfile.ZipFile(inbox / "members.zip", "w") as archive:
        archive.writestr(f"../out{HOSTILE}.json", "{}")
        archive.writestr(f"broken{HOSTILE}.json", "{")
        archive.writestr("fine.json", json.dumps({"title": "Fine", "text": STORY}))
    return folder


def test_what_articles_and_names_contain_commands_no_terminal_and_imitates_no_line(hostile: Path) -> None:
    (taken_in,) = run_commands(hostile, [("ingest", "inbox", *DB)])
    assert (taken_in.code, "not used: keys.json" in taken_in.out) == (1, True), taken_in
    questions = [
        ("clusters", "--min-articles", "1"), ("show", "cluster", "1"), ("show", "article", "1"), ("why", "1"), ("why", "1", "2"),
        ("show", "file", "members.zip"), ("show", "file", "keys.json"), ("files",), ("fsck",), ("status",),
        ("check", "--watch", f"nowhere{HOSTILE}"), ("check", "--watch", "\udcff"), ("show", "article", f"no{HOSTILE}"),
        ("retry", f"no{HOSTILE}"), ("rebuild", "--check"), ("prune", "--before", "2026-01-01"),
    ]  # fmt: skip
    (hostile / "inbox" / ".ingestd" / "archive").mkdir(parents=True)
    (hostile / "inbox" / ".ingestd" / "archive" / f"unknown{HOSTILE.replace('/', '')}").write_text("")
    asked = [[*question, *json_, *DB] for question in questions for json_ in ((), ("--json",))]
    answers = [taken_in, *run_commands(hostile, asked)]
    assert [answer for answer in answers if RAW.search(answer.out + answer.err)] == []
    imitated = [a for a in answers if re.search(r"^FAKE LINE", a.out + a.err, re.MULTILINE)]
    # Only the text of an article has lines.
    assert {answer.arguments[0] for answer in imitated} <= {"show", "why"}
    assert [a for a in answers if "--json" in a.arguments and a.out and json.loads(a.out) is None] == []
    assert r"\x1b]0;taken" in answers[1].out
    (article,) = [a for a in answers if list(a.arguments[:4]) == ["show", "article", "1", "--json"]]
    assert json.loads(article.out)["outlet"].startswith("post1\x1b]0;taken")  # the value itself is kept


def test_a_wrong_argument_commands_no_terminal_either(tmp_path: Path) -> None:
    wrong = [
        [HOSTILE], ["show", HOSTILE], ["status", HOSTILE], ["status", f"--{HOSTILE}"], [f"--{HOSTILE}"],
        ["files", "--limit", HOSTILE], ["clusters", "--min-articles", HOSTILE], ["db", f"-{HOSTILE}"],
    ]  # fmt: skip
    answers = run_commands(tmp_path, wrong)
    assert [answer for answer in answers if answer.code != 2 or RAW.search(answer.out + answer.err)] == []
    assert [answer for answer in answers if re.search(r"^FAKE LINE", answer.err, re.MULTILINE)] == []
    assert r"\x1b]0;taken" in answers[0].err


def test_an_error_of_the_system_is_a_sentence_only_for_a_path_of_the_user(tmp_path: Path) -> None:
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.params = {"paths": [tmp_path / "given"], "limit": 3}
    for name, expected in (("given", typer.Exit), ("other", PermissionError)):
        with pytest.raises(expected), report_errors(context):
            raise PermissionError(13, "Permission denied", str(tmp_path / name))


def export_to_terminal(url: str, form: str) -> tuple[int, str]:
    """Export with a terminal as standard output; return the code and what the terminal got."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "ingestd", "export", "-", "--format", form, "--db", url]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(terminal, 1 << 16):
                got += piece
        os.close(terminal)
        process.communicate(timeout=60)
    return process.returncode, got.decode().replace("\r\n", "\n")


def test_an_export_to_a_terminal_is_escaped_and_a_binary_one_refused(corpus: Corpus) -> None:
    corpus.take_in(a={"title": f"Quay {HOSTILE}", "text": STORY})
    for form in ("csv", "jsonl"):
        code, got = export_to_terminal(corpus.settings.database.url, form)
        assert (code, RAW.search(got)) == (0, None), got
        assert "taken" in got
    assert json.loads(got)["title"] == corpus.rows("select title from articles")[0]
    assert export_to_terminal(corpus.settings.database.url, "parquet") == (2, "")


def test_a_log_holds_neither_local_variables_nor_control_characters(tmp_path: Path) -> None:
    program = (
        "import os, structlog; from ingestd import log_config as logs\n"
        "def fail(url):\n    raise ValueError(os.environ['SAID'])\n"
        "logs.configure_logging(logs.LogFormat(os.environ['FORM']), logs.LogLevel.INFO)\n"
        "try:\n    fail(os.environ['URL'])\nexcept ValueError:\n    structlog.get_logger().exception('work.failed')"
    )
    for form in ("json", "console"):
        environment = os.environ | {"SAID": f"said {HOSTILE}", "FORM": form, "URL": "postgresql://bob:S3cr3t@h/x"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert "ValueError" in done.stderr
        assert "S3cr3t" not in done.stderr
        assert form == "json" or not RAW.search(done.stderr), done.stderr


def test_a_spreadsheet_runs_nothing_of_a_csv_file_unless_asked(corpus: Corpus, tmp_path: Path) -> None:
    titles = ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(1)", "\uff1d1+1", "Plain = 1"]
    corpus.take_in(**{f"a{n}": {"title": title, "text": f"{STORY} {n}"} for n, title in enumerate(titles)})
    written = {}
    for raw in (False, True):
        with corpus.database.begin_read() as connection:
            export_rows(connection, ExportedRows.ARTICLES, ExportFormat.CSV, tmp_path / f"{raw}.csv", raw=raw)
        rows = csv.DictReader(io.StringIO((tmp_path / f"{raw}.csv").read_text(), newline=""))
        written[raw] = [row["title"] for row in rows]
    stored = corpus.rows("SELECT title FROM articles ORDER BY id")
    assert written[True] == stored
    assert written[False] == [title if title.startswith("Plain") else f"'{title}" for title in stored]


VALUES = [
    "9" * 30, "9" * 5000, str(2**63), f"-{2**70}", "-1", "1e999", "nan", "²", "\udcff", HOSTILE.replace("/", ""), "x" * 5000,
    "9999-12-31", "0001-01-01", "%",
]  # fmt: skip
# "?" stands for the value.
COMMANDS = [
    "status --config ?", "status --db ?", "status --db sqlite:///?", "status --log-format ?", "clusters --limit ?",
    "clusters --min-articles ?", "clusters --since ?", "clusters --outlet ?", "clusters --lang ?", "show cluster ?",
    "show article ?", "show file ?", "why ?", "why 1 ?", "files --limit ?", "files --state ?", "files --reason ?", "retry ?",
    "retry --reason ?", "export o.csv --what ?", "export o --format ?", "export ? --format csv", "prune --before ?",
    "prune --before 2020-01-01 --what ?", "evaluate ?", "check --watch ?", "fsck --config ?", "rebuild --check --db ?",
    "db current --db ?", "db upgrade --db ?", "db copy ? sqlite:///t.db", "db copy sqlite:///none.db ?", "ingest ?",
    "run --watch ?", "db current --db postgresql+psycopg://u@127.0.0.1:1/x?connect_timeout=?",
    "status --db sqlite:///c.db?timeout=?", "status --db sqlite:///c.db?unknown=?", "status --db postgresql://h:?/x",
]  # fmt: skip


def find_faults(answers: list[Answer], codes: set[int]) -> list[Answer]:
    """Return the answers with a traceback, another code, or no sentence."""
    return [
        answer
        for answer in answers
        if "Traceback" in answer.err
        or answer.code not in codes
        or (answer.code and not (answer.err or answer.out).strip())
    ]


def test_no_value_of_an_option_ends_in_a_traceback(tmp_path: Path, long: bool) -> None:
    commands = []
    for number, command in enumerate(COMMANDS):
        every = long or "limit" in command or "min-" in command  # else a fourth: each takes a tenth of a second
        for value in VALUES if every else VALUES[number % 4 :: 4]:
            words = command.split()
            filled = [re.sub(r"\?$|(?<=:)\?", lambda _, value=value: value, word) for word in words]
            commands.append([*filled, *(DB if "--db" not in words else ())])
    run_commands(tmp_path, [("db", "upgrade", *DB)])
    answers = run_commands(tmp_path, commands)
    assert find_faults(answers, {0, 1, 2}) == []
    assert [a for a in answers if a.code == 0 and a.arguments[0] in ("run", "ingest", "rebuild")] == []


@pytest.mark.parametrize(("section", "name", "value"), [
    ("watch", "quiet_seconds", "1e300"), ("watch", "rescan_seconds", "inf"), ("database", "lease_seconds", "nan"),
    ("database", "retry_seconds", "1e12"), ("ingest", "workers", "99999999"), ("formats", "max_file_bytes", "9" * 30),
    ("formats", "max_records", "9" * 12), ("window", "max_articles", "9" * 30),
])  # fmt: skip
def test_a_setting_beyond_all_measure_is_refused(
    section: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"INGESTD_{section}__{name}".upper(), value)
    with pytest.raises(SettingsError, match=f"{section}.{name}: "):
        load_settings(None, {})


AWAY = "postgresql+psycopg://bob:S3cr3t@127.0.0.1:1/x"


def test_without_its_database_every_command_says_so_and_keeps_the_password(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "gold.jsonl").write_text('{"id": 1, "event": "a"}')
    commands = [
        "status", "clusters", "show cluster 1", "show article 1", "show file a", "why 1", "why 1 2", "files", "retry --all",
        "export o.csv", "rebuild", "rebuild --check", "prune --before 2024-01-01", "evaluate gold.jsonl", "fsck", "db current",
        "db current --json", "db upgrade", "check --watch inbox", "ingest inbox", "run --watch inbox",
    ]  # fmt: skip
    asked = [[*command.split(), "--db", AWAY] for command in commands]
    asked += [["db", "copy", AWAY, "sqlite:///b.db"], ["db", "copy", "sqlite:///none.db", AWAY]]
    answers = run_commands(tmp_path, asked)
    assert find_faults(answers, {1, 2}) == []
    assert [a for a in answers if "S3cr3t" in a.out + a.err] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gold.jsonl", "inbox"]


URLS = [
    "postgresql+psycopg://127.0.0.1:1/x?user=bob&password=S3cr3t", "postgresql+psycopg://bob:S3cr3t@[::1/x",
    "postgresql+psycopg://bob:half@S3cr3t@127.0.0.1:1/x", "postgres://bob:S3cr3t@h/x", "mysql://bob:S3cr3t@h/x",
    "postgresql+psycopg://bob:S3cr3t", "postgresql+psycopg://bob:S3cr3t@127.0.0.1:1/x?sslmode=odd&sslpassword=S3cr3t",
    "postgresql+psycopg://127.0.0.1:1/x?password=S3cr3t&unknown=1", "bob:S3cr3t@h",
]  # fmt: skip


def test_a_password_is_never_printed_wherever_it_stands_in_the_url(tmp_path: Path) -> None:
    asked = []
    for number, url in enumerate(URLS):
        (tmp_path / f"wrong{number}.toml").write_text(f"database = '{url}'")
        commands = (["status"], ["check"], ["db", "current"], ["db", "upgrade"])
        asked += [*([*command, "--db", url] for command in commands), ["status", "--config", f"wrong{number}.toml"]]
        assert "S3cr3t" not in repr(Settings.model_validate({"database": {"url": url}}))
    answers = run_commands(tmp_path, asked)
    assert find_faults(answers, {1, 2}) == []
    assert [a for a in answers if "S3cr3t" in a.out + a.err] == []


def test_a_name_for_people_shows_where_and_who_but_no_password() -> None:
    database = Database("postgresql+psycopg://bob:S3cr3t@db.example/x?password=S3cr3t&application_name=mine")
    assert database.name == "postgresql+psycopg://bob:***@db.example/x?application_name=mine&password=***"
    assert database.describe_error(ValueError("S3cr3t is wrong\nDETAIL")) == "*** is wrong"


def test_a_mistyped_database_is_not_created(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"id": 1, "event": "a"}')
    commands = [
        "db current", "status", "clusters", "show cluster 1", "show article 1", "show file a", "why 1", "files", "export o.csv",
        "evaluate gold.jsonl", "fsck", "retry --all", "rebuild", "rebuild --check", "prune --before 2024-01-01",
        "db copy sqlite:///no/c.db sqlite:///t.db",
    ]  # fmt: skip
    current, *answers = run_commands(
        tmp_path, [[*command.split(), "--db", "sqlite:///no/c.db"] for command in commands]
    )
    assert (current.code, "none yet" in current.out) == (0, True)
    assert [a for a in answers if a.code != 2 or "no such file, and none was created" not in a.err] == []
    assert [path.name for path in tmp_path.iterdir()] == ["gold.jsonl"]


def test_a_question_makes_no_tables_in_an_empty_database(database_url: str, tmp_path: Path) -> None:
    if database_url.startswith("sqlite"):
        (tmp_path / "test.db").touch()
    answers = run_commands(tmp_path, [["status", "--db", database_url]] * 2)
    assert [(answer.code, "holds no corpus" in answer.err) for answer in answers] == [(2, True)] * 2


@pytest.mark.parametrize(("root", "why"), [
    ("/", "system"), ("/etc", "system"), ("/etc/news", "system"), ("/usr", "system"), ("/proc/self", "system"), ("/tmp", "system"),
    ("{tmp}/home", "home"), ("{tmp}", "home"), ("{tmp}/home/../home/", "home"), ("{tmp}/link", "home"),
    ("{tmp}/in/.ingestd/archive", "keeps for a watched folder"), ("{tmp}/state", "database"),
])  # fmt: skip
def test_a_folder_that_is_hardly_meant_is_known(root: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    said = explain_unmeant(Path(root.format(tmp=tmp_path)), tmp_path / "state/below/c.db", tmp_path / "home")
    assert said is not None
    assert why in said


@pytest.mark.parametrize(
    "root", ["/srv/inbox", "/inbox", "/mnt", "/dev/shm/inbox", "/var/lib/ingestd/inbox", "{tmp}/home/inbox"]
)
def test_an_ordinary_folder_is_meant(root: str, tmp_path: Path) -> None:
    folder = Path(root.format(tmp=tmp_path))
    assert explain_unmeant(folder, folder.parent / "c.db", tmp_path / "home") is None
    assert explain_unmeant(folder, folder / ".state/c.db", None) is None


def test_the_daemon_asks_back_before_it_takes_in_what_cannot_be_meant(ingestd: Run, tmp_path: Path) -> None:
    for root in ("/", ".", "", str(Path.home())):
        refused = ingestd("run", "--watch", root, *DB, timeout_s=20)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    checked = ingestd("check", "--watch", "/", "--json", *DB)
    assert (checked.returncode, json.loads(checked.stdout)[0]["grade"]) == (1, "error")
    nowhere = ingestd("run", "--watch", "/etc/nowhere", "--yes", *DB)
    assert "no such folder" in nowhere.stderr  # it was not asked back
