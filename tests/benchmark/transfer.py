"""
Whether what was set on some labelled corpora holds on another, and whether a probability means what it says.

    python -m tests.benchmark.transfer [CORPORA]      the folder of the labelled corpora (../shared/corpora)

The constants of the decision are chosen on two corpora and scored on the third, each corpus in turn. Then: of the
candidate pairs that are given a probability of so much, how many do cover one event? One process, no database: window
and decision are the program's, but no copies are looked for.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ingestd.core.article import Article
from ingestd.core.events import linkage
from ingestd.core.events.cluster_metrics import compare_clusterings
from ingestd.core.events.term_vectors import estimate_probability
from ingestd.core.fingerprint import fingerprint_articles
from ingestd.core.window.columns import WindowColumns, WindowRow
from ingestd.core.window.window import Window
from ingestd.workers.word_frequencies import load_term_weighter
from tests.benchmark import events

CORPORA = ("basil", "wikinews_galaxy", "ecbplus")
CHOICES = {
    "THRESHOLD": (0.15, 0.16, 0.17, 0.18),
    "TIGHTENING": (0.0, 0.03, 0.05, 0.1),
    "CONTRAST": (0.0, 0.55, 0.65, 0.75),
}
NAMES = tuple(CHOICES)
UNDATED = date(2099, 1, 1)  # last
BATCH = 64


def read(folder: Path) -> tuple[list[WindowRow], dict[str, dict[int, str]]]:
    """Return the articles of all corpora in the order of their dates, and the labels of each corpus by article id."""
    found: list[tuple[str, dict[str, Any]]] = []
    for corpus in CORPORA:
        for path in sorted((folder / corpus).glob("[ab]*.jsonl")):
            found += [(corpus, json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    found.sort(key=lambda pair: (pair[1]["published"] or "9999", pair[1]["id"]))
    labels: dict[str, dict[int, str]] = {corpus: {} for corpus in CORPORA}
    entries: list[WindowRow] = []
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]
        published = [
            datetime.fromisoformat(a["published"]).replace(tzinfo=UTC) if a["published"] else None for _, a in some
        ]
        read = [Article(title=a["title"], text=a["text"], lang=a["lang"]) for _, a in some]
        for (corpus, a), when, made in zip(
            some, published, fingerprint_articles(read, load_term_weighter), strict=True
        ):
            number = len(entries) + 1
            entry = WindowRow(
                article_id=number, published_at=when, day=when.date() if when else UNDATED, n_words=made.n_words,
                outlet=a["outlet"], features=made.features, canonical_id=number, cluster_id=None,
            )  # fmt: skip
            entries.append(entry)
            if a.get("event"):
                labels[corpus][number] = a["event"]
    return entries, labels


def cluster(entries: list[WindowRow]) -> dict[int, int]:
    """Return the cluster of each article, found with the constants as they stand."""
    window, next_cluster = Window(days=30, max_articles=100_000), 1
    for entry in entries:
        arrived = WindowColumns.from_rows([entry])
        window.add(arrived)
        (near,) = window.candidates.find_candidates(arrived, earlier=True)
        next_cluster = events.settle(window, entry.article_id, near.coverage, next_cluster)
    return {entry.article_id: window.memberships.get_cluster(entry.article_id) or 0 for entry in entries}


def scored(
    entries: list[WindowRow], labels: dict[str, dict[int, str]]
) -> Iterator[tuple[tuple[float, ...], list[float]]]:
    """Yield all choices of the constants, with the B-cubed F1 of each corpus."""
    for values in itertools.product(*CHOICES.values()):
        with mock.patch.multiple(linkage, **dict(zip(NAMES, values, strict=True))):
            found = {str(article): number for article, number in cluster(entries).items()}
        gold = [{str(article): event for article, event in labels[corpus].items()} for corpus in CORPORA]
        yield values, [compare_clusterings(one, found).b3_f1 for one in gold]


def transfer(entries: list[WindowRow], labels: dict[str, dict[int, str]]) -> None:
    """Print what the constants that are best on two corpora reach on the third."""
    tried = dict(scored(entries, labels))
    print(f"{len(tried)} choices of {', '.join(name.lower() for name in NAMES)}; B-cubed F1")
    for this, corpus in enumerate(CORPORA):
        best, reached = max(tried.items(), key=lambda one: sum(one[1]) - one[1][this])
        most = max(f1[this] for f1 in tried.values())
        print(f"  {corpus:<16} {reached[this]:.3f} with {best}, chosen on the others (at best {most:.3f})")
    own = tuple(getattr(linkage, name) for name in NAMES)
    print(f"  as they are set  {' '.join(f'{f1:.3f}' for f1 in tried.get(own, []))} with {own}")


def calibration(entries: list[WindowRow], labels: dict[str, dict[int, str]]) -> None:
    """Print, for pairs that were proposed, the probability that they were given and the share that is right."""
    window = Window(days=30, max_articles=100_000)
    window.add(WindowColumns.from_rows(entries))
    events_of = {article: event for of_corpus in labels.values() for article, event in of_corpus.items()}
    right: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for article, event in events_of.items():
        (near,) = window.candidates.find_candidates(WindowColumns.from_rows([entries[article - 1]]), earlier=False)
        others = [other for other in near.coverage if other in events_of]
        for other, score in zip(
            others, window.scores.score(article, np.array(others, dtype=np.int64)).tolist(), strict=True
        ):
            p = estimate_probability(score)
            right[min(int(10 * p), 9)].append((p, event == events_of[other]))
    print("pairs proposed: given, right, pairs")
    for _, pairs in sorted(right.items()):
        given, same = np.array(pairs).T
        print(f"  {given.mean():.2f} {same.mean():.2f} {given.size:6}")


def main() -> None:
    entries, labels = read(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/corpora"))
    transfer(entries, labels)
    calibration(entries, labels)


if __name__ == "__main__":
    main()
