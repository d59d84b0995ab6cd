"""Results of queries as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ingestd.cli.layout import (
    build_facts,
    build_table,
    format_score,
    format_span,
    format_time,
    format_title,
    open_console,
    print_facts,
    shorten,
)
from ingestd.query.results import (
    ArticleDetail,
    ClusterDetail,
    ClusterLogEntry,
    ClusterMember,
    Copy,
    CorpusStatus,
    FileDetail,
    LedgerEntry,
    ListedCluster,
    Membership,
    RejectedEntry,
)

_FILE_FACTS = (
    "id",
    "root",
    "path",
    "state",
    "reason",
    "detail",
    "sha256",
    "size_bytes",
    "attempts",
    "n_articles",
    "article_id",
    "archived_as",
    "retry_at",
    "first_seen_at",
    "finished_at",
)


def print_status(status: CorpusStatus) -> None:
    """Print the size of the corpus and the lag."""
    files = ", ".join(f"{count:,} {state}" for state, count in sorted(status.files.items())) or "none yet"
    oldest = status.oldest_unfinished_s
    print_facts(
        {
            "files": files,
            "articles": f"{status.articles:,}",
            "copies": f"{status.copies:,}",
            "clusters": f"{status.clusters:,}, of them {status.stories:,} of two or more articles",
            "compared with": f"{status.articles_in_reach:,} articles, {status.index_bytes / 2**20:,.0f} MB",
            "last stored": format_time(status.last_stored_at) or "never",
            "oldest unfinished file": "none" if oldest is None else f"seen {timedelta(seconds=int(oldest))} ago",
        }
    )


def print_clusters(clusters: Sequence[ListedCluster]) -> None:
    """Print clusters with their members: outlets, times and relations."""
    console = open_console()
    if not clusters:
        console.print("No clusters yet. `ingestd status` tells what has been taken in.")
    for cluster in clusters:
        console.print(_build_cluster_tree(cluster))
        console.print()


def print_cluster(cluster: ClusterDetail) -> None:
    """Print one cluster with members and history."""
    console = open_console()
    if cluster.asked_for != cluster.id:
        console.print(f"Cluster {cluster.asked_for} went into cluster {cluster.id}.\n", style="yellow")
    console.print(_build_cluster_tree(cluster))
    console.print("\nHistory", style="bold")
    console.print(build_log_table(cluster.log))


def print_article(article: ArticleDetail) -> None:
    """Print one article with copies, cluster and text."""
    console = open_console()
    console.print(Text(format_title(article.title), style="bold"))
    facts = {
        "id": article.id,
        "external id": article.external_id,
        "outlet": article.outlet,
        "url": article.url,
        "published": _format_publication(article),
        "language": article.lang,
        "words": article.n_words,
        "authors": ", ".join(article.authors) or None,
        "revision": article.revision,
        "file": article.file.path,
        "archived as": article.file.archived_as,
        "copy of": describe_copy(article.copy) if article.copy else None,
        "copies": ", ".join(map(str, article.copies)) or None,
        "cluster": _describe_membership(article.membership) if article.membership else None,
    }
    console.print(build_facts({name: value for name, value in facts.items() if value is not None}))
    console.print()
    console.print(Text(article.text))


def print_files(files: Sequence[LedgerEntry]) -> None:
    """Print entries of the ledger, one a line."""
    console = open_console()
    if not files:
        console.print("No such files in the ledger.")
        return
    table = build_table("id", "state", "file", "articles", "reason", "detail", "finished")
    for file in files:
        table.add_row(
            str(file.id),
            file.state,
            file.path,
            str(file.n_articles),
            file.reason or "",
            shorten(file.detail or "", 60),
            format_time(file.finished_at),
        )
    console.print(table)


def print_file_versions(versions: Sequence[FileDetail]) -> None:
    """Print every version of a file with the rejected records."""
    console = open_console()
    for version in versions:
        values = {name: getattr(version, name) for name in _FILE_FACTS}
        facts = {
            name: format_time(value) if isinstance(value, datetime) else value
            for name, value in values.items()
            if value is not None
        }
        console.print(build_facts(facts))
        if version.rejected_records:
            console.print("\nRecords left out", style="bold")
            console.print(_build_rejected_table(version.rejected_records))
        console.print()


def build_log_table(log: Sequence[ClusterLogEntry]) -> Table:
    """Return the history of clusters, one change a line."""
    table = build_table("when", "what", "cluster", "other", "article", "reason")
    for entry in log:
        reason = ", ".join(f"{key} {value}" for key, value in entry.reason.items())
        table.add_row(
            format_time(entry.happened_at),
            entry.kind,
            str(entry.cluster_id),
            str(entry.other_cluster_id or ""),
            str(entry.article_id or ""),
            shorten(reason, 60),
        )
    return table


def describe_copy(copy: Copy) -> str:
    """Return the canonical article of a copy, with relation and scores."""
    return (
        f"article {copy.canonical_article_id} ({copy.relation}, Jaccard {copy.jaccard:.2f}, "
        f"containment {copy.containment:.2f})"
    )


def _build_cluster_tree(cluster: ListedCluster | ClusterDetail) -> Tree:
    n, outlets = cluster.n_articles, cluster.n_outlets
    size = f"{n} article{'s' if n != 1 else ''}"
    if n != cluster.n_originals:
        size += f" ({cluster.n_originals} without copies)"
    span = format_span(cluster.first_published_at, cluster.last_published_at)
    line = f"[bold cyan]{cluster.id}[/]  [bold]{escape(format_title(cluster.title))}[/]\n    [dim]{size}"
    line += f" · {outlets} outlet{'s' if outlets != 1 else ''}" if outlets else ""
    line += f" · {span}" if span else ""
    line += f" · {escape(', '.join(cluster.keywords))}" if cluster.keywords else ""
    tree = Tree(line + "[/]", guide_style="dim")
    for member in cluster.members:
        tree.add(_build_member_line(member))
    return tree


def _build_member_line(member: ClusterMember) -> Text:
    is_copy = member.relation == "copy"
    relation = f"{member.copy_relation} of {member.copy_of}" if is_copy else member.relation
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("★ " if member.is_canonical else "  ", style="yellow")
    line.append(f"{member.article_id:>4} ", style="cyan")
    line.append(f"{relation:<15} ", style="green" if is_copy else "")
    line.append(f"{format_score(member.score):>4}  ", style="dim")
    line.append(f"{format_time(member.published_at):<16}  ", style="dim")
    line.append(f"{shorten(member.outlet or '-', 20):<20}  ")
    line.append(format_title(" ".join((member.title or "").split())))
    return line


def _build_rejected_table(rejected: Sequence[RejectedEntry]) -> Table:
    table = build_table("record", "reason", "detail")
    for record in rejected:
        table.add_row(str(record.record_no), record.reason, shorten(record.detail or "", 90))
    return table


def _format_publication(article: ArticleDetail) -> str:
    if article.published_at is None:
        return "unknown"
    return f"{format_time(article.published_at)} ({article.published_source}, to the {article.published_precision})"


def _describe_membership(member: Membership) -> str:
    return f"{member.cluster_id} ({member.relation}, score {format_score(member.score)})"
