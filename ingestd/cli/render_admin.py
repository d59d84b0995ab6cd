"""Results of the upkeep commands as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.text import Text

from ingestd.admin.fsck import Problem
from ingestd.admin.preflight import Finding, Grade
from ingestd.admin.prune import PruneResult
from ingestd.admin.rebuild import RebuildReport
from ingestd.cli.layout import build_table, escape_line, format_title, open_console, print_facts, print_line
from ingestd.inbox.heartbeat import SignOfLife

_GRADE_STYLES = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.ERROR: "bold red"}


def print_findings(findings: Iterable[Finding]) -> None:
    """Print the findings of a check with the remedies."""
    console = open_console()
    for finding in findings:
        console.print(f"[{_GRADE_STYLES[finding.grade]}]{finding.grade:8}[/] {escape(escape_line(finding.what))}")
        if finding.mend:
            console.print(f"         {escape(escape_line(finding.mend))}", style="dim")


def print_signs(signs: Sequence[SignOfLife]) -> None:
    """Print a sentence for each folder."""
    for sign in signs:
        if sign.is_fresh:
            print_line(f"{sign.root}: a daemon is at work; its last sign of life is {sign.age_s} s old")
        elif sign.age_s is None:
            print_line(f"{sign.root}: no daemon of this host is at work", to_errors=True)
        else:
            print_line(f"{sign.root}: the daemon hangs or is dead; its last sign is {sign.age_s} s old", to_errors=True)


def print_problems(problems: Sequence[Problem]) -> None:
    """Print the disagreements of ledger, disk and articles."""
    console = open_console()
    if not problems:
        console.print("The ledger, the disk and the articles agree.")
        return
    table = build_table("problem", "what", "detail")
    for problem in problems:
        table.add_row(problem.kind, problem.what, problem.detail)
    console.print(table)
    console.print(f"\n{len(problems)} problems")


def print_pruning(result: PruneResult) -> None:
    """Print the size of the removed part, or of the part to be removed."""
    facts = asdict(result)
    applied = facts.pop("applied")
    print_facts(facts)
    if not applied:
        open_console().print("Nothing was changed; --apply does it.")


def print_rebuild(report: RebuildReport, *, check: bool) -> None:
    """Print the changes of a rebuild."""
    console = open_console()
    (clusters_before, clusters_after), (copies_before, copies_after) = report.clusters, report.copies
    print_facts(
        {
            "articles": report.articles,
            "clusters": f"{clusters_before:,} -> {clusters_after:,}, adjusted Rand {report.clusters_adjusted_rand}",
            "copies": f"{copies_before:,} -> {copies_after:,}, adjusted Rand {report.copies_adjusted_rand}",
            "in another cluster": report.articles_in_another_cluster,
        }
    )
    for moved in report.first_of_them:
        title = format_title(moved.title)
        console.print(Text(f"{moved.article_id:>8}  {moved.cluster or '-'} -> {moved.new_cluster}  {title}"))
    console.print("Nothing was changed." if check else "Stored.", style="dim")
