"""
Copies and clusters derived anew from the stored articles: to compare with what is stored, or to take its place.

The articles go through the same decisions as when they came, in the order of their dates, into a database of its own.
Only when all are decided is the result put in the place of the old one, in one transaction: an interrupted rebuild
changes nothing. Clusters keep their ids as far as they are the same, and every id ever given still resolves.
"""

from __future__ import annotations

import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from ingestd.core.article import Article, DatePrecision, DateSource
from ingestd.core.events.cluster_metrics import compare_clusterings
from ingestd.core.events.medoid import centres
from ingestd.core.fingerprint import Fingerprint
from ingestd.core.source_file import FileState
from ingestd.errors import CannotStartError
from ingestd.matching.matcher import Matcher, NewArticle
from ingestd.pipeline.committer import window_of
from ingestd.progress_bar import bar
from ingestd.settings import Settings
from ingestd.store import articles as store
from ingestd.store.articles import chunks
from ingestd.store.changes import ChangeSet, settle_status, write
from ingestd.store.database import Database
from ingestd.store.tables import (
    ArticleRow,
    ClusterLogRow,
    ClusterMemberRow,
    ClusterRow,
    CopyRow,
    SignatureRow,
    SourceFile,
)
from ingestd.workers.pool import Workers

_BATCH = 256
_SHOWN = 20  # articles that would move
_articles = ArticleRow.__table__
_clusters = ClusterRow.__table__
_copies = CopyRow.__table__
_members = ClusterMemberRow.__table__

Read = tuple[int, Any, Article]  # id, day, and the article


def rebuild(settings: Settings, database: Database, *, check: bool, progress: bool) -> dict[str, Any]:
    """
    Derive copies and clusters anew; unless `check`, store them.

    Returns:
        How well the clusters and the groups of copies agree with those stored (adjusted Rand index), and what moves.
    """
    with tempfile.TemporaryDirectory(prefix="ingestd-rebuild-") as folder, closing(
        Database(f"sqlite:///{Path(folder) / 'rebuild.db'}")
    ) as anew:  # fmt: skip
        anew.prepare()
        with database.begin_read() as old:
            before = store.state(old)
            _refuse_without_texts(old)
        _derive(settings, database, anew, progress=progress)
        with anew.begin_read() as new, database.begin_read() as old:
            ids = _ids(_clusters_by_article(old), _clusters_by_article(new), _next_cluster(old))
            found = _compared(old, new, ids)
        if not check:
            with anew.begin_read() as new, database.begin_write() as connection:
                state = store.next_batch(connection, generation=before.generation + 1)
                if state.batch != before.batch + 1:
                    raise CannotStartError("articles came while all were decided anew: stop the daemons and repeat it")
                _put_in_place(connection, new, ids, state.batch, datetime.now(UTC))
    return found


def _refuse_without_texts(connection: Connection) -> None:
    pruned = connection.execute(select(func.count()).where(_articles.c.pruned == "texts")).scalar_one()
    if pruned:
        raise CannotStartError(
            f"the texts of {pruned:,} articles were pruned: without them nothing can be decided anew. "
            "`ingestd prune --what articles` takes these articles out of the corpus"
        )


# Deriving


def _derive(settings: Settings, database: Database, anew: Database, *, progress: bool) -> None:
    placer = Matcher(partial(window_of, settings))
    next_cluster, done = 1, 0
    now = datetime.now(UTC)
    with anew.begin_write() as connection:
        connection.execute(insert(SourceFile), _no_file(now))
    with (
        database.begin_read() as connection,
        bar("articles", _count(connection, ArticleRow), shown=progress) as advance,
    ):
        for batch, prints in _fingerprinted(_read(connection), settings.ingest.workers):
            changes = ChangeSet(now)
            arrivals = [NewArticle(i, a, made, day) for (i, day, a), made in zip(batch, prints, strict=True)]
            for arrival in arrivals:
                changes.add_article(
                    arrival.article_id, arrival.article, arrival.fingerprint, arrival.day, 1, revision=False
                )
            with anew.begin_write() as writing:
                placer.place(writing, arrivals, changes, next_cluster)
                write(writing, changes, partial(centres, placer.window))
                settle_status(writing, changes, settings.window.quiet_days)
            next_cluster += len(changes.clusters)
            placer.window.shrink()
            done += len(batch)
            advance(done, None)


def _read(connection: Connection) -> Iterator[Read]:
    """Yield all articles by their dates, those without one last."""
    order = (_articles.c.published_at.is_(None), _articles.c.published_at, _articles.c.id)
    for row in connection.execute(select(_articles).order_by(*order).execution_options(yield_per=_BATCH)):
        yield row.id, row.day, Article(
            title=row.title, text=row.text, outlet=row.outlet, url=row.url, url_canonical=row.url_canonical,
            external_id=row.external_id, authors=tuple(row.authors), lang=row.lang,
            lang_confidence=row.lang_confidence, published_at=row.published_at,
            published_source=DateSource(row.published_source) if row.published_source else None,
            published_precision=DatePrecision(row.published_precision) if row.published_precision else None,
            record_no=row.record_no,
        )  # fmt: skip


def _fingerprinted(articles: Iterator[Read], processes: int) -> Iterator[tuple[list[Read], list[Fingerprint]]]:
    """Yield batches with their fingerprints, which the workers make ahead."""
    workers = Workers(processes)
    ahead: deque[tuple[list[Read], Future[list[Fingerprint]]]] = deque()
    try:
        while True:
            while len(ahead) <= 2 * processes and (batch := list(islice(articles, _BATCH))):
                ahead.append((batch, workers.fingerprint([article for _, _, article in batch])))
            if not ahead:
                return
            batch, prints = ahead.popleft()
            yield batch, prints.result()
    finally:
        workers.close()


# Comparing


def _ids(stored: Mapping[int, int], anew: Mapping[int, int], next_id: int) -> dict[int, int]:
    """Return the id that each new cluster gets: the one that most of its articles had, the largest cluster first."""
    members: dict[int, list[int]] = {}
    for article, cluster in anew.items():
        members.setdefault(cluster, []).append(article)
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for cluster in sorted(members, key=lambda c: (-len(members[c]), min(members[c]))):
        votes = Counter(stored[a] for a in members[cluster] if a in stored and stored[a] not in taken)
        if votes:
            ids[cluster] = min(votes, key=lambda c: (-votes[c], c))
        else:
            ids[cluster], next_id = next_id, next_id + 1
        taken.add(ids[cluster])
    return ids


def _compared(old: Connection, new: Connection, ids: Mapping[int, int]) -> dict[str, Any]:
    stored, anew = _clusters_by_article(old), _clusters_by_article(new)
    groups, new_groups = _groups(old), _groups(new)
    moved = sorted(a for a, cluster in anew.items() if ids[cluster] != stored.get(a))
    named = {row.id: row.title for row in old.execute(select(_articles.c.id, _articles.c.title).where(
        _articles.c.id.in_(moved[:_SHOWN])))}  # fmt: skip
    return {
        "articles": len(anew),
        "clusters_adjusted_rand": _rand(stored, anew),
        "copies_adjusted_rand": _rand(groups, new_groups),
        "clusters": [len(set(stored.values())), len(ids)],
        "copies": [_count(old, CopyRow), _count(new, CopyRow)],
        "articles_in_another_cluster": len(moved),
        "first_of_them": [
            {"article_id": a, "title": named[a], "cluster": stored.get(a), "new_cluster": ids[anew[a]]}
            for a in moved[:_SHOWN]
        ],
    }


def _rand(stored: Mapping[int, int], anew: Mapping[int, int]) -> float:
    both = {str(a): c for a, c in stored.items() if a in anew}
    if not both:
        return 1.0
    return round(compare_clusterings(both, {str(a): c for a, c in anew.items()}).adjusted_rand, 4)


def _clusters_by_article(connection: Connection) -> dict[int, int]:
    rows = connection.execute(select(_members.c.article_id, _members.c.cluster_id))
    return {row.article_id: row.cluster_id for row in rows}


def _groups(connection: Connection) -> dict[int, int]:
    query = select(_articles.c.id, func.coalesce(_copies.c.canonical_article_id, _articles.c.id).label("canonical"))
    rows = connection.execute(query.outerjoin(_copies, _copies.c.article_id == _articles.c.id))
    return {row.id: row.canonical for row in rows}


# Putting in place


def _put_in_place(connection: Connection, new: Connection, ids: Mapping[int, int], batch: int, now: datetime) -> None:
    stored = {
        row.article_id: (row.cluster_id, row.joined_at)
        for row in connection.execute(select(_members.c.article_id, _members.c.cluster_id, _members.c.joined_at))
    }
    for table in (CopyRow, SignatureRow, ClusterMemberRow):
        connection.execute(delete(table))
    connection.execute(update(ArticleRow).where(_articles.c.pruned == "signatures").values(pruned=None))
    went = _put_clusters(connection, new, ids, stored, now)
    _copy(connection, new, CopyRow)
    _copy(connection, new, SignatureRow)
    for rows in _rows(new, ClusterMemberRow):
        for row in rows:
            row["cluster_id"] = ids[row["cluster_id"]]
            cluster, joined_at = stored.get(row["article_id"], (None, now))
            row["joined_at"] = joined_at if cluster == row["cluster_id"] else now
            row["batch"] = batch
        connection.execute(insert(ClusterMemberRow), rows)
    _note(connection, went, now)


def _put_clusters(
    connection: Connection,
    new: Connection,
    ids: Mapping[int, int],
    stored: Mapping[int, tuple[int, datetime]],
    now: datetime,
) -> dict[int, Counter[int]]:
    """Write the rows of all clusters; return where the articles of each old one went."""
    known = set(connection.execute(select(_clusters.c.id)).scalars())
    for rows in _rows(new, ClusterRow):
        kept = [row | {"id": ids[row["id"]]} for row in rows if row["id"] in ids]
        fresh = [row for row in kept if row["id"] not in known]
        if fresh:
            connection.execute(insert(ClusterRow), fresh)
        for row in kept:
            if row["id"] in known:
                values = {key: value for key, value in row.items() if key not in ("id", "created_at")}
                connection.execute(update(ClusterRow).where(_clusters.c.id == row["id"]).values(values))
    went: dict[int, Counter[int]] = {}
    for article, cluster in _clusters_by_article(new).items():
        if article in stored:
            went.setdefault(stored[article][0], Counter())[ids[cluster]] += 1
    live = set(ids.values())
    for gone in sorted(went.keys() - live):
        into = max(went[gone], key=lambda cluster: (went[gone][cluster], -cluster))
        values = {"status": "merged", "merged_into": into, "n_articles": 0, "n_originals": 0, "n_outlets": 0}
        led_there = (_clusters.c.id == gone) | (_clusters.c.merged_into == gone)
        connection.execute(update(ClusterRow).where(led_there).values(updated_at=now, **values))
    return went


def _note(connection: Connection, went: Mapping[int, Counter[int]], now: datetime) -> None:
    """Log where the articles of each cluster went that changed."""
    lines = []
    for cluster, counts in sorted(went.items()):
        merged = cluster not in counts and max(counts, key=lambda c: (counts[c], -c))
        for other, n in sorted(counts.items()):
            if other != cluster:
                line = {"kind": "merged", "cluster_id": other, "other_cluster_id": cluster}
                if other != merged:
                    line = {"kind": "left", "cluster_id": cluster, "other_cluster_id": other}
                lines.append(line | {"happened_at": now, "reason": {"rebuilt": True, "articles": n}})
    for chunk in chunks(lines):
        connection.execute(insert(ClusterLogRow), chunk)


def _copy(connection: Connection, new: Connection, table: type[CopyRow] | type[SignatureRow]) -> None:
    for rows in _rows(new, table):
        connection.execute(insert(table), rows)


def _rows(connection: Connection, table: Any) -> Iterator[list[dict[str, Any]]]:
    found = connection.execute(select(table.__table__).execution_options(yield_per=1000))
    for part in found.partitions():
        yield [_plain(row) for row in part]


def _plain(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _count(connection: Connection, table: type[CopyRow] | type[ArticleRow]) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _next_cluster(connection: Connection) -> int:
    return (connection.execute(select(func.max(_clusters.c.id))).scalar_one() or 0) + 1


def _no_file(now: datetime) -> dict[str, Any]:
    """The row that the articles of the other database name as their file."""
    return {
        "id": 1, "root": "", "path": "", "path_bytes": b"", "size_bytes": 0, "mtime_ns": 0, "ctime_ns": 0, "inode": 0,
        "state": FileState.STORED.value, "first_seen_at": now, "finished_at": now,
    }  # fmt: skip
