"""Why an article is in a cluster, and why two articles are together or apart: both comparisons again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection

from ingestd.core.article import Article
from ingestd.core.copies.diff import find_differences, split_into_segments
from ingestd.core.copies.verify import (
    MIN_CONTAINMENT,
    MIN_JACCARD,
    ComparedText,
    PairVerdict,
    compare_texts,
)
from ingestd.core.events.linkage import THRESHOLD
from ingestd.core.events.term_vectors import TermVectorStore, compute_time_penalty, estimate_probability
from ingestd.core.features import EVENT
from ingestd.core.fingerprint import Fingerprint, fingerprint_articles
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.stored import StoredText
from ingestd.core.text.boilerplate import HEADLINES_REMEMBERED
from ingestd.core.text.term_weights import TermVector
from ingestd.matching.text_cache import collect_lines, cut_texts
from ingestd.query.articles import read_article
from ingestd.query.results import ArticleDetail, ClusterLogEntry, Copy, Membership
from ingestd.store.texts import read_last_texts
from ingestd.workers.word_frequencies import load_term_weighter

_SHOWN_TERMS = 12
_COPY_VERDICTS = {
    PairVerdict.COPY: "copy",
    PairVerdict.TEMPLATE: "no copy: two notices of one form, filled in with other names and figures",
    PairVerdict.NONE: f"no copy: needs a Jaccard of {MIN_JACCARD} or a containment of {MIN_CONTAINMENT}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleExplanation:
    """The evidence for the copy group and the cluster of an article."""

    id: int
    title: str | None
    outlet: str | None
    published_at: datetime | None
    copy: Copy | None
    copies: Sequence[int]
    membership: Membership | None
    log: Sequence[ClusterLogEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleHeading:
    """The head of an article in a comparison."""

    id: int
    title: str | None
    outlet: str | None
    published_at: datetime | None
    lang: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyExplanation:
    """The comparison of two texts word for word."""

    verdict: str
    jaccard: float
    containment: float
    shared_shingles: int
    shingles: Sequence[int]  # of both texts
    longest_passages: Sequence[str]  # shared
    only_here: Sequence[str]  # words of the first text alone
    only_there: Sequence[str]  # words of the second text alone
    left_out: Sequence[Sequence[str]]  # boilerplate lines of both texts, not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class EventExplanation:
    """The comparison of two articles by events."""

    verdict: str
    probability: float
    score: float
    cosine: float
    time_penalty: float
    days_apart: float | None
    shared_bands: int
    terms: Mapping[str, float]  # the heaviest shared terms, with their part of the cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class NearEventExplanation(EventExplanation):
    """Two articles of one language that are near enough."""

    too_far_without: Sequence[str] | None  # the fewest shared terms that decide; None: no number of terms does


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEventExplanation(EventExplanation):
    """Two articles of one language that are too far apart."""

    near_enough_on_one_day: bool | None  # None: the dates cost nothing
    near_enough_if_both_said: Sequence[str] | None  # about; None: not even all terms would do


@dataclass(frozen=True, slots=True, kw_only=True)
class PairExplanation:
    """Both comparisons of two articles."""

    articles: Sequence[ArticleHeading]
    same_cluster: bool
    clusters: Sequence[int | None]
    copy: CopyExplanation
    event: EventExplanation
    texts: Sequence[Sequence[tuple[str, bool]]]  # pieces of both texts, each with whether the other text has the piece


def explain_article(connection: Connection, given: str) -> ArticleExplanation:
    """Return the evidence for the copy group and the cluster of an article, and the history."""
    article = read_article(connection, given)
    return ArticleExplanation(
        id=article.id,
        title=article.title,
        outlet=article.outlet,
        published_at=article.published_at,
        copy=article.copy,
        copies=article.copies,
        membership=article.membership,
        log=article.log,
    )


def explain_pair(connection: Connection, first: str, second: str) -> PairExplanation:
    """Compare two articles as copies and as reports on one event, and return the verdicts with the evidence."""
    a, b = read_article(connection, first), read_article(connection, second)
    print_a, print_b = fingerprint_articles([_to_article(a), _to_article(b)], load_term_weighter)
    text_a, text_b = (_prepare_text(connection, article) for article in (a, b))
    return PairExplanation(
        articles=[
            ArticleHeading(id=x.id, title=x.title, outlet=x.outlet, published_at=x.published_at, lang=x.lang)
            for x in (a, b)
        ],
        same_cluster=a.cluster_id is not None and a.cluster_id == b.cluster_id,
        clusters=[a.cluster_id, b.cluster_id],
        copy=_explain_copy(text_a, text_b),
        event=_explain_event(a, b, print_a, print_b),
        texts=[
            split_into_segments(text_a.compared, text_b.compared),
            split_into_segments(text_b.compared, text_a.compared),
        ],
    )


def _explain_copy(a: ComparedText, b: ComparedText) -> CopyExplanation:
    comparison = compare_texts(a, b)
    overlap = comparison.overlap
    differences = find_differences(a.compared, b.compared)
    return CopyExplanation(
        verdict=_COPY_VERDICTS[comparison.verdict],
        jaccard=round(overlap.jaccard, 4),
        containment=round(overlap.containment, 4),
        shared_shingles=overlap.shared,
        shingles=[overlap.size, overlap.other_size],
        longest_passages=differences.longest_passages,
        only_here=differences.only_here,
        only_there=differences.only_there,
        left_out=[_list_left_out(text) for text in (a, b)],
    )


def _prepare_text(connection: Connection, article: ArticleDetail) -> ComparedText:
    stored = StoredText.from_article(article.title, article.text, article.outlet)
    outlet = stored.outlet
    recurring = None
    if outlet:
        recurring = collect_lines(read_last_texts(connection, [outlet], HEADLINES_REMEMBERED))[outlet].recurring_lines
    return cut_texts([stored], recurring)[0]


def _list_left_out(text: ComparedText) -> list[str]:
    """Return the lines that were not compared: recurring lines of the outlet, and boilerplate by form."""
    compared = set(text.compared.split("\n"))
    return [line for line in text.text.split("\n") if line.strip() and line not in compared]


def _explain_event(a: ArticleDetail, b: ArticleDetail, print_a: Fingerprint, print_b: Fingerprint) -> EventExplanation:
    sketch_a, sketch_b = print_a.features[EVENT.name], print_b.features[EVENT.name]
    x, y = sketch_a.terms, sketch_b.terms
    days_apart = _count_days_apart(a, b)
    penalty = 0.0 if days_apart is None else float(compute_time_penalty(0.0, np.array([days_apart]))[0])
    vectors = TermVectorStore()
    vectors.add(RaggedArray.from_rows([x.hashes, y.hashes]), np.concatenate([x.weights, y.weights]))
    cosine = float(vectors.compute_cosines(*np.array([[0], [1], [0]]))[0])  # by the same steps as in the window
    score = cosine - penalty
    missing = THRESHOLD - score
    same_language = a.lang == b.lang
    facts: dict[str, Any] = {
        "verdict": _phrase_verdict(score, same_language=same_language),
        "probability": round(estimate_probability(score), 4),
        "score": round(score, 4),
        "cosine": round(cosine, 4),
        "time_penalty": round(penalty, 4),
        "days_apart": None if days_apart is None else round(days_apart, 2),
        "shared_bands": int(np.count_nonzero(np.all((sketch_a.sketch == sketch_b.sketch).reshape(-1, 2), axis=1))),
        "terms": _weigh_shared_terms(x, y),
    }
    if not same_language:
        return EventExplanation(**facts)
    if missing <= 0:
        return NearEventExplanation(**facts, too_far_without=_find_deciding_terms(x, y, -missing))
    return FarEventExplanation(
        **facts,
        near_enough_on_one_day=penalty >= missing if penalty else None,
        near_enough_if_both_said=_find_missing_terms(x, y, missing),
    )


def _count_days_apart(a: ArticleDetail, b: ArticleDetail) -> float | None:
    if a.published_at is None or b.published_at is None:
        return None
    return abs((a.published_at - b.published_at).total_seconds()) / 86400


def _phrase_verdict(score: float, *, same_language: bool) -> str:
    if not same_language:
        return "not compared: different languages"
    if score >= THRESHOLD:
        return f"near enough for one event: {score:.3f} >= {THRESHOLD}; the mean over a cluster decides"
    return f"too far apart for one event: {score:.3f} < {THRESHOLD}, {THRESHOLD - score:.3f} short of it"


def _weigh_shared_terms(x: TermVector, y: TermVector) -> dict[str, float]:
    """Return the heaviest shared terms with the product of both weights."""
    _, mine, theirs = np.intersect1d(x.hashes, y.hashes, assume_unique=True, return_indices=True)
    product = x.weights[mine] * y.weights[theirs]
    top = np.argsort(-product, kind="stable")[:_SHOWN_TERMS]
    return {x.words[int(mine[i])]: round(float(product[i]), 4) for i in top}


def _find_deciding_terms(x: TermVector, y: TermVector, margin: float) -> list[str] | None:
    """Return the heaviest shared terms without which the articles would be too far apart."""
    mine, theirs = _map_weights(x), _map_weights(y)
    shared = [(word, mine[word] * theirs[word]) for word in mine.keys() & theirs.keys()]
    return _take_until(margin, sorted(shared, key=_sort_heaviest))


def _find_missing_terms(x: TermVector, y: TermVector, missing: float) -> list[str] | None:
    """Return the heaviest terms of one article alone whose presence in both would (about) bring both together."""
    mine, theirs = _map_weights(x), _map_weights(y)
    alone = [(word, (mine | theirs)[word] ** 2) for word in mine.keys() ^ theirs.keys()]
    return _take_until(missing, sorted(alone, key=_sort_heaviest))


def _map_weights(terms: TermVector) -> dict[str, float]:
    return dict(zip(terms.words, terms.weights.tolist(), strict=True))


def _sort_heaviest(term: tuple[str, float]) -> tuple[float, str]:
    return -term[1], term[0]


def _take_until(needed: float, terms: Iterable[tuple[str, float]]) -> list[str] | None:
    """Return the first terms whose values sum up to more than needed; None: all terms together do not."""
    chosen, total = [], 0.0
    for word, value in terms:
        chosen.append(word)
        total += value
        if total > needed:
            return chosen
    return None


def _to_article(article: ArticleDetail) -> Article:
    return Article(title=article.title, text=article.text, lang=article.lang, published_at=article.published_at)
