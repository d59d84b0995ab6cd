"""Explanations as text for people: one article, or two articles side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ingestd.cli.layout import build_facts, escape_line, format_score, format_time, format_title, open_console
from ingestd.cli.render import build_log_table, describe_copy
from ingestd.query.explain import ArticleExplanation, CopyExplanation, EventExplanation, PairExplanation


def print_article_explanation(explanation: ArticleExplanation) -> None:
    """Print the evidence for the copy group and the cluster of an article, and the history."""
    console = open_console()
    console.print(Text(format_title(explanation.title), style="bold"))
    if explanation.copy:
        console.print(f"A copy: {describe_copy(explanation.copy)}")
        console.print(build_facts(explanation.copy.evidence))
    else:
        console.print(f"Nobody's copy; {len(explanation.copies)} articles are copies of it.")
    member = explanation.membership
    if member:
        console.print(
            f"\nIn cluster {member.cluster_id} as {member.relation}, score {format_score(member.score)}", style="bold"
        )
        if member.matched_article_id:
            console.print(f"Nearest member: article {member.matched_article_id}")
        console.print(build_facts(member.evidence))
    console.print("\nHistory", style="bold")
    console.print(build_log_table(explanation.log))


def print_pair_explanation(pair: PairExplanation) -> None:
    """Print both comparisons of two articles, and both texts side by side."""
    console = open_console()
    for article in pair.articles:
        console.print(
            f"[bold]{article.id}[/] {escape(format_title(article.title))} "
            f"[dim]{escape(escape_line(article.outlet or ''))} {format_time(article.published_at)}[/]"
        )
    together = "together in cluster" if pair.same_cluster else "in clusters"
    console.print(f"They are {together} {' and '.join(str(c) for c in dict.fromkeys(pair.clusters))}.\n")
    console.print("Is one a copy of the other?", style="bold")
    console.print(build_facts(_list_copy_facts(pair.copy)))
    console.print()
    console.print("Do they cover the same event?", style="bold")
    console.print(build_facts(_list_facts(pair.event)))
    console.print()
    side_by_side = Table(
        *(f"article {article.id}" for article in pair.articles), box=None, header_style="bold", padding=(0, 2)
    )
    side_by_side.add_row(*map(_mark_shared, pair.texts))
    console.print("What both texts have is [black on yellow]marked[/].", style="dim")
    console.print(side_by_side)


def _list_copy_facts(copy: CopyExplanation) -> Mapping[str, object]:
    facts = _list_facts(copy)
    facts.pop("left_out", None)
    left_out = [line for lines in copy.left_out for line in lines]
    return facts | ({"lines not compared": " | ".join(left_out)} if left_out else {})


def _list_facts(explanation: CopyExplanation | EventExplanation) -> dict[str, object]:
    """Return the fields that say something, in order."""
    values = {field.name: getattr(explanation, field.name) for field in fields(explanation)}
    return {name: value for name, value in values.items() if value not in (None, ())}


def _mark_shared(segments: Sequence[tuple[str, bool]]) -> Text:
    """Return a text with the shared pieces marked: by colour in a terminal, by brackets elsewhere."""
    text = Text()
    for piece, shared in segments:
        text.append(
            f"[{piece}]" if shared and not sys.stdout.isatty() else piece, style="black on yellow" if shared else ""
        )
    return text
