"""Answers as tables that a person likes to read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from ingestd.core.source_file import escape_unprintable

Answer = Mapping[str, Any]
_GRADE_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def console() -> Console:
    """Return where answers go: standard output, as wide as the terminal, or 120 columns where there is none."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def as_json(answer: object) -> None:
    """Print an answer for a program."""
    sys.stdout.buffer.write(orjson.dumps(answer, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def clusters(found: Sequence[Answer]) -> None:
    """Print each cluster with its members: who reported when, and what each is to the others."""
    out = console()
    if not found:
        out.print("No clusters yet. `ingestd status` tells what has been taken in.")
    for cluster in found:
        out.print(_cluster_tree(cluster))
        out.print()


def cluster(found: Answer) -> None:
    """Print one cluster, its members and its history."""
    out = console()
    if found["asked_for"] != found["id"]:
        out.print(f"Cluster {found['asked_for']} went into cluster {found['id']}.\n", style="yellow")
    out.print(_cluster_tree(found))
    out.print("\nHistory", style="bold")
    out.print(_log_table(found["log"]))


def article(found: Answer) -> None:
    """Print one article, where it belongs, and its text."""
    out = console()
    out.print(Text(escape_unprintable(found["title"] or "(no title)"), style="bold"))
    facts = {
        "id": found["id"],
        "external id": found["external_id"],
        "outlet": found["outlet"],
        "url": found["url"],
        "published": _published(found),
        "language": found["lang"],
        "words": found["n_words"],
        "authors": ", ".join(found["authors"]) or None,
        "revision": found["revision"],
        "file": found["file"]["path"],
        "archived as": found["file"]["archived_as"],
        "copy of": _copy_of(found["copy"]),
        "copies": ", ".join(map(str, found["copies"])) or None,
        "cluster": _membership(found["membership"]),
    }
    out.print(_pairs({key: value for key, value in facts.items() if value is not None}))
    out.print()
    out.print(Text(found["text"]))


def files(found: Sequence[Answer]) -> None:
    """Print rows of the ledger."""
    out = console()
    if not found:
        out.print("No such files in the ledger.")
        return
    table = Table("id", "state", "file", "articles", "reason", "detail", "finished", box=None, header_style="bold")
    for row in found:
        table.add_row(
            str(row["id"]),
            row["state"],
            Text(row["path"]),
            str(row["n_articles"]),
            row["reason"] or "",
            Text(_short(row["detail"] or "", 60)),
            _when(row["finished_at"]),
        )
    out.print(table)


def file(found: Sequence[Answer]) -> None:
    """Print every version of a file that was seen."""
    out = console()
    for row in found:
        shown = (
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
        facts = {key: _when(row[key]) if isinstance(row[key], datetime) else row[key] for key in shown}
        out.print(_pairs({key: value for key, value in facts.items() if value is not None}))
        if row["rejected_records"]:
            out.print("\nRecords left out", style="bold")
            table = Table("record", "reason", "detail", box=None, header_style="bold")
            for r in row["rejected_records"]:
                table.add_row(str(r["record_no"]), r["reason"], Text(_short(r["detail"] or "", 90)))
            out.print(table)
        out.print()


def problems(found: Sequence[Answer]) -> None:
    """Print what does not agree."""
    out = console()
    if not found:
        out.print("The ledger, the disk and the articles agree.")
        return
    table = Table("problem", "what", "detail", box=None, header_style="bold")
    for row in found:
        table.add_row(row["kind"], Text(row["what"]), Text(row["detail"]))
    out.print(table)
    out.print(f"\n{len(found)} problems")


def status(found: Answer) -> None:
    """Print how much there is of everything."""
    files_ = ", ".join(f"{count:,} {state}" for state, count in sorted(found["files"].items())) or "none yet"
    oldest = found["oldest_unfinished_s"]
    console().print(
        _pairs(
            {
                "files": files_,
                "articles": f"{found['articles']:,}",
                "copies": f"{found['copies']:,}",
                "clusters": f"{found['clusters']:,}, of them {found['stories']:,} of two or more articles",
                "compared with": f"{found['articles_in_reach']:,} articles, {found['index_bytes'] / 2**20:,.0f} MB",
                "last stored": _when(found["last_stored_at"]) or "never",
                "oldest unfinished file": "none" if oldest is None else f"seen {timedelta(seconds=int(oldest))} ago",
            }
        )
    )


def why_one(found: Answer) -> None:
    """Print what put an article where it is."""
    out = console()
    out.print(Text(escape_unprintable(found["title"] or "(no title)"), style="bold"))
    if found["copy"]:
        out.print(f"A copy: {_copy_of(found['copy'])}")
        out.print(_pairs(found["copy"]["evidence"]))
    else:
        out.print(f"Nobody's copy; {len(found['copies'])} articles are copies of it.")
    member = found["membership"]
    if member:
        out.print(
            f"\nIn cluster {member['cluster_id']} as {member['relation']}, score {_score(member['score'])}",
            style="bold",
        )
        if member["matched_article_id"]:
            out.print(f"Nearest member: article {member['matched_article_id']}")
        out.print(_pairs(member["evidence"]))
    out.print("\nHistory", style="bold")
    out.print(_log_table(found["log"]))


def why_two(found: Answer) -> None:
    """Print both comparisons of two articles."""
    out = console()
    for article_ in found["articles"]:
        out.print(
            f"[bold]{article_['id']}[/] {escape(escape_unprintable(article_['title'] or '(no title)'))} "
            f"[dim]{escape(article_['outlet'] or '')} {_when(article_['published_at'])}[/]"
        )
    together = "together in cluster" if found["same_cluster"] else "in clusters"
    out.print(f"They are {together} {' and '.join(str(c) for c in dict.fromkeys(found['clusters']))}.\n")
    for question, title in (("copy", "Is one a copy of the other?"), ("event", "Do they cover the same event?")):
        out.print(title, style="bold")
        facts = {key: value for key, value in found[question].items() if value not in (None, ())}
        left_out = [escape_unprintable(line) for lines in facts.pop("left_out", ()) for line in lines]
        out.print(_pairs(facts | ({"lines not compared": " | ".join(left_out)} if left_out else {})))
        out.print()
    side_by_side = Table(
        *(f"article {a['id']}" for a in found["articles"]), box=None, header_style="bold", padding=(0, 2)
    )
    side_by_side.add_row(*map(_marked, found["texts"]))
    out.print("What both texts have is [black on yellow]marked[/].", style="dim")
    out.print(side_by_side)


def findings(found: Iterable[Answer]) -> None:
    """Print what a check came to."""
    out = console()
    for finding in found:
        out.print(f"[{_GRADE_STYLES[finding['grade']]}]{finding['grade']:8}[/] {escape(finding['what'])}")
        if finding["mend"]:
            out.print(f"         {escape(finding['mend'])}", style="dim")


def _cluster_tree(found: Answer) -> Tree:
    n, outlets = found["n_articles"], found["n_outlets"]
    size = f"{n} article{'s' if n != 1 else ''}"
    if n != found["n_originals"]:
        size += f" ({found['n_originals']} without copies)"
    span = _span(found["first_published_at"], found["last_published_at"])
    title = escape(escape_unprintable(found["title"] or "(no title)"))
    line = f"[bold cyan]{found['id']}[/]  [bold]{title}[/]\n    [dim]{size}"
    line += f" · {outlets} outlet{'s' if outlets != 1 else ''}" if outlets else ""
    line += f" · {span}" if span else ""
    line += f" · {escape(', '.join(found['keywords']))}" if found["keywords"] else ""
    tree = Tree(line + "[/]", guide_style="dim")
    for member in found["members"]:
        tree.add(_member_line(member))
    return tree


def _member_line(member: Answer) -> Text:
    relation = member["relation"]
    if relation == "copy":
        relation = f"{member['copy_relation']} of {member['copy_of']}"
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("★ " if member["is_canonical"] else "  ", style="yellow")
    line.append(f"{member['article_id']:>4} ", style="cyan")
    line.append(f"{relation:<15} ", style="green" if member["relation"] == "copy" else "")
    line.append(f"{_score(member['score']):>4}  ", style="dim")
    line.append(f"{_when(member['published_at']):<16}  ", style="dim")
    line.append(f"{_short(member['outlet'] or '-', 20):<20}  ")
    line.append(escape_unprintable(" ".join((member["title"] or "(no title)").split())))
    return line


def _log_table(log: Sequence[Answer]) -> Table:
    table = Table("when", "what", "cluster", "other", "article", "reason", box=None, header_style="bold")
    for row in log:
        reason = ", ".join(f"{key} {value}" for key, value in row["reason"].items())
        table.add_row(
            _when(row["happened_at"]),
            row["kind"],
            str(row["cluster_id"]),
            str(row["other_cluster_id"] or ""),
            str(row["article_id"] or ""),
            Text(_short(reason, 60)),
        )
    return table


def _pairs(facts: Answer) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in facts.items():
        table.add_row(Text(key.replace("_", " "), style="dim"), Text(_value(value)))
    return table


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        items = [escape_unprintable(str(item)) for item in value]
        return "\n".join(items) if any(" " in item for item in items) else ", ".join(items)
    return escape_unprintable(str(value))


def _marked(segments: Sequence[tuple[str, bool]]) -> Text:
    """Return a text in which what the other text has too is marked: by colour, and by brackets where there is none."""
    text = Text()
    for piece, shared in segments:
        text.append(
            f"[{piece}]" if shared and not sys.stdout.isatty() else piece, style="black on yellow" if shared else ""
        )
    return text


def _published(article: Answer) -> str:
    if article["published_at"] is None:
        return "unknown"
    return f"{_when(article['published_at'])} ({article['published_source']}, to the {article['published_precision']})"


def _membership(member: Answer | None) -> str | None:
    return f"{member['cluster_id']} ({member['relation']}, score {_score(member['score'])})" if member else None


def _copy_of(copy: Answer | None) -> str | None:
    if not copy:
        return None
    return (
        f"article {copy['canonical_article_id']} ({copy['relation']}, Jaccard {copy['jaccard']:.2f}, "
        f"containment {copy['containment']:.2f})"
    )


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def _span(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None:
        return ""
    return _when(first) if first == last else f"{_when(first)} to {_when(last)}"


def _short(value: str, width: int) -> str:
    value = " ".join(value.split())
    return value if len(value) <= width else value[: width - 1] + "…"


def figures(found: Answer) -> None:
    """Print figures by name."""
    console().print(_pairs({key.replace("_", " "): value for key, value in found.items()}))


def pruned(found: Answer, *, applied: bool) -> None:
    """Print what was given up, or would be."""
    figures(found)
    if not applied:
        console().print("Nothing was changed; --apply does it.")


def rebuilt(found: Answer, *, check: bool) -> None:
    """Print what a rebuild changes, or would change."""
    out = console()
    (clusters_before, clusters_after), (copies_before, copies_after) = found["clusters"], found["copies"]
    figures(
        {
            "articles": found["articles"],
            "clusters": f"{clusters_before:,} -> {clusters_after:,}, adjusted Rand {found['clusters_adjusted_rand']}",
            "copies": f"{copies_before:,} -> {copies_after:,}, adjusted Rand {found['copies_adjusted_rand']}",
            "in another cluster": found["articles_in_another_cluster"],
        }
    )
    for moved in found["first_of_them"]:
        title = escape_unprintable(moved["title"] or "(no title)")
        out.print(Text(f"{moved['article_id']:>8}  {moved['cluster'] or '-'} -> {moved['new_cluster']}  {title}"))
    out.print("Nothing was changed." if check else "Stored.", style="dim")
