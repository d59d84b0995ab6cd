"""
What finding events costs: features and sketch (spread over workers), candidates, scores and decision (one after the other).

    python -m tests.benchmark.events [N ...]      articles in the window (10,000 and 50,000)

One process, no database. The cost is that of the last 5,000 articles of each size. What finds copies is made beside it, and
printed for comparison.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from ingestd.core.article import Article
from ingestd.core.events import linkage
from ingestd.core.events.linkage import (
    MAX_INSEPARABLE,
    MAX_RECLUSTERED,
    RECLUSTER_SHARE,
    CandidateCluster,
    compute_outlet_weights,
    propose_clusters,
)
from ingestd.core.features import EVENT, FeatureInputs
from ingestd.core.fingerprint import Fingerprint, fingerprint_articles
from ingestd.core.window.columns import WindowColumns, WindowRow
from ingestd.core.window.window import Window
from ingestd.workers.word_frequencies import load_term_weighter
from tests.support.made_corpus import Made, articles

BATCH = 512  # ingest.batch_files
MEASURED = 5_000
STAGES = ("features and sketch", "the same with those of copies", "index", "candidates", "scores and decision")


def entry(number: int, made: Made, fingerprint: Fingerprint) -> WindowRow:
    return WindowRow(
        article_id=number, published_at=made.published, day=made.published.date(), n_words=fingerprint.n_words,
        outlet=made.outlet, features=fingerprint.features, canonical_id=number, cluster_id=None,
    )  # fmt: skip


def settle(window: Window, article: int, near: Sequence[int], next_cluster: int) -> int:
    """Decide where an article belongs, as the program does; return the next free id of a cluster."""
    candidates = np.array(near, dtype=np.int64)
    scores = window.scores.score(article, candidates)
    order = np.argsort(-scores, kind="stable")
    touched: dict[int, CandidateCluster] = {}
    for other in candidates[order][scores[order] >= linkage.THRESHOLD * RECLUSTER_SHARE].tolist():
        cluster = window.memberships.get_cluster(other)
        if (
            cluster is None
            or cluster in touched
            or not window.memberships.accepts(cluster, article, other, window.quiet_days)
        ):
            continue
        members = window.memberships.list_members(cluster, MAX_RECLUSTERED)
        scored = window.scores.score(article, members)
        mean = float(np.average(scored, weights=compute_outlet_weights(window.articles.get_outlets(members).tolist())))
        small = mean >= linkage.THRESHOLD and members.size < MAX_INSEPARABLE
        lowest = float(min(window.scores.find_lowest(cluster), scored.min())) if small else -np.inf
        touched[cluster] = CandidateCluster(members, mean, lowest)
    for part in propose_clusters(article, touched, window.scores.score_all_pairs, window.articles.get_outlets):
        cluster = part.cluster_id
        if cluster is None:
            cluster, next_cluster = next_cluster, next_cluster + 1
        for member in part.members:
            window.memberships.set_cluster(member, cluster)
    return next_cluster


def measure(n: int) -> None:
    window, next_cluster, number = Window(days=3650, max_articles=2 * n), 1, 0
    spent = dict.fromkeys(STAGES, 0.0)
    batch: list[Made] = []
    for made in articles(n):
        batch.append(made)
        if len(batch) < BATCH and number + len(batch) < n:
            continue
        parsed = [Article(title=m.title, text=m.text, lang="en", published_at=m.published) for m in batch]
        ids = list(range(number + 1, number + len(batch) + 1))
        moments = [time.perf_counter()]
        EVENT.compute(FeatureInputs(parsed, [], load_term_weighter))
        moments.append(time.perf_counter())
        made_prints = fingerprint_articles(parsed, load_term_weighter)
        moments.append(time.perf_counter())
        entries = WindowColumns.from_rows([entry(*one) for one in zip(ids, batch, made_prints, strict=True)])
        window.add(entries)
        moments.append(time.perf_counter())
        near = window.candidates.find_candidates(entries, earlier=True)
        moments.append(time.perf_counter())
        for article, found in zip(ids, near, strict=True):
            next_cluster = settle(window, article, found.coverage, next_cluster)
        moments.append(time.perf_counter())
        number += len(batch)
        if number > n - MEASURED:
            for stage, seconds in zip(spent, np.diff(moments).tolist(), strict=True):
                spent[stage] += seconds / min(n, MEASURED)
        batch = []
    print(f"{n:,} articles in the window, {window.nbytes / n:,.0f} bytes each, {next_cluster - 1:,} clusters opened")
    for stage, seconds in spent.items():
        print(f"  {stage:<30} {1e6 * seconds:7.0f} us an article")


def main() -> None:
    for n in [int(size) for size in sys.argv[1:]] or [10_000, 50_000]:
        measure(n)


if __name__ == "__main__":
    main()
