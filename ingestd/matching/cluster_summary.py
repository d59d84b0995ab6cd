"""Summaries of clusters: counts, canonical article, title and keywords; and the check of merges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from ingestd.core.changeset import ChangeSet, ClusterSummary, NewArticle
from ingestd.core.events.medoid import Medoid, find_medoids
from ingestd.core.window.window import Window
from ingestd.matching.batch_matcher import Decision
from ingestd.matching.corpus import Corpus

KEYWORDS = 8  # of a cluster
_SUMMARISED_TOGETHER = 500  # clusters
_NO_TERMS = np.zeros(0, dtype=np.uint32)


def summarise_opened(decision: Decision, window: Window) -> list[ClusterSummary]:
    """
    Return a summary of each cluster that a batch opened.

    The summary of a cluster that holds one new article is complete: the cluster is not touched any more. The others
    are counted by `summarise_touched` once their members are written.
    """
    changes = decision.changes
    joined = _group_joined(changes)
    singles = _find_singles(changes, joined)
    medoids = find_medoids(window, list(singles))
    keywords = _find_keywords(decision, joined, medoids)
    summaries = []
    for cluster in changes.opened:
        if cluster not in medoids:
            summaries.append(ClusterSummary(cluster, keywords=()))
            continue
        article = singles[cluster].article
        changes.touched.discard(cluster)
        summaries.append(
            ClusterSummary(
                cluster_id=cluster,
                n_articles=1,
                n_originals=1,
                n_outlets=int(article.outlet is not None),
                first_published_at=article.published_at,
                last_published_at=article.published_at,
                canonical_id=singles[cluster].article_id,
                title=article.title,
                lang=article.lang,
                keywords=keywords[cluster],
            )
        )
    return summaries


def keep_inhabited(changes: ChangeSet, corpus: Corpus) -> None:
    """Undo merges of clusters that have members outside the window: the members in the window left, no more."""
    for cluster in sorted(corpus.find_inhabited_clusters(sorted(changes.merged))):
        into = changes.merged.pop(cluster)
        changes.touched.add(cluster)
        changes.log[:] = [
            replace(entry, kind="left", cluster_id=cluster, other_cluster_id=into)
            if entry.kind == "merged" and entry.other_cluster_id == cluster
            else entry
            for entry in changes.log
        ]


def summarise_touched(decision: Decision, corpus: Corpus, window: Window) -> list[ClusterSummary]:
    """Return a summary of each cluster whose members changed; comes after the members are written."""
    changes = decision.changes
    joined = _group_joined(changes)
    touched = sorted(changes.touched - changes.merged.keys())
    summaries: list[ClusterSummary] = []
    for start in range(0, len(touched), _SUMMARISED_TOGETHER):
        counted = corpus.count_members(touched[start : start + _SUMMARISED_TOGETHER])
        held = find_medoids(window, [counts.cluster_id for counts in counted])
        medoids = {
            c.cluster_id: held.get(c.cluster_id) or Medoid(c.canonical_id or c.lowest_article_id, _NO_TERMS)
            for c in counted
        }
        headlines = corpus.read_headlines([medoid.article_id for medoid in medoids.values()])
        keywords = _find_keywords(decision, joined, medoids)
        for counts in counted:
            canonical = medoids[counts.cluster_id].article_id
            summaries.append(
                ClusterSummary(
                    cluster_id=counts.cluster_id,
                    n_articles=counts.n_articles,
                    n_originals=counts.n_originals,
                    n_outlets=counts.n_outlets,
                    first_published_at=counts.first_published_at,
                    last_published_at=counts.last_published_at,
                    canonical_id=canonical,
                    title=headlines[canonical].title,
                    lang=headlines[canonical].lang,
                    # Where members only left, no article at hand knows the words: the old ones stay.
                    keywords=keywords[counts.cluster_id] or None,
                )
            )
            if counts.canonical_id not in (None, canonical):
                before = counts.canonical_id
                changes.add_log_entry("canonical", counts.cluster_id, article=canonical, before=before)
    return summaries


def _group_joined(changes: ChangeSet) -> dict[int, list[int]]:
    """Return the articles that join each cluster in a batch."""
    joined: dict[int, list[int]] = {}
    for article_id, membership in changes.joined.items():
        joined.setdefault(membership.cluster_id, []).append(article_id)
    return joined


def _find_singles(changes: ChangeSet, joined: Mapping[int, Sequence[int]]) -> dict[int, NewArticle]:
    """Return the opened clusters that hold one new article, and will hold no other, with the article."""
    articles = {new.article_id: new for new in changes.articles if not new.revised}
    taken = {*changes.moved.values(), *changes.merged}
    single = [cluster for cluster in changes.opened if len(joined.get(cluster, ())) == 1 and cluster not in taken]
    return {c: articles[joined[c][0]] for c in single if joined[c][0] in articles}


def _find_keywords(
    decision: Decision, joined: Mapping[int, Sequence[int]], medoids: Mapping[int, Medoid]
) -> dict[int, tuple[str, ...]]:
    """Return the most telling words of clusters, of those that an article of the batch has."""
    lookup = decision.lookup
    asked = [(cluster, article) for cluster in medoids for article in joined.get(cluster, ())]
    terms = [medoids[cluster].telling_terms for cluster, _ in asked]
    articles = [article for (_, article), telling in zip(asked, terms, strict=True) for _ in range(telling.size)]
    places = iter(lookup.find_terms(articles, np.concatenate([_NO_TERMS, *terms])))
    known: dict[int, dict[int, int]] = {cluster: {} for cluster in medoids}  # of each cluster: term -> place
    for (cluster, _), telling in zip(asked, terms, strict=True):
        looked_up = zip(telling.tolist(), islice(places, telling.size), strict=True)
        known[cluster].update((term, place) for term, place in looked_up if place >= 0)
    return {
        cluster: tuple(lookup.read_word(place) for place in _take_first(known[cluster], medoid.telling_terms.tolist()))
        for cluster, medoid in medoids.items()
    }


def _take_first(places: Mapping[int, int], terms: Iterable[int]) -> Iterable[int]:
    return islice((places[term] for term in terms if term in places), KEYWORDS)
