"""Why an article is where it is, and why two are, or are not, together: the comparison made again, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
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
from ingestd.query import queries
from ingestd.store.texts import read_last_texts
from ingestd.workers.word_frequencies import load_term_weighter

_TERMS = 12


def one(connection: Connection, given: str) -> dict[str, Any]:
    """Return what put an article where it is: its copy row, its membership, and what happened to both."""
    found = queries.article(connection, given)
    keys = ("id", "title", "outlet", "published_at", "copy", "copies", "membership", "log")
    return {key: found[key] for key in keys}


def two(connection: Connection, first: str, second: str) -> dict[str, Any]:
    """Return both comparisons of two articles, with their verdicts and what they rest on."""
    a, b = queries.article(connection, first), queries.article(connection, second)
    print_a, print_b = fingerprint_articles([_article(a), _article(b)], load_term_weighter)
    text_a, text_b = (_compared(connection, article) for article in (a, b))
    return {
        "articles": [{key: x[key] for key in ("id", "title", "outlet", "published_at", "lang")} for x in (a, b)],
        "same_cluster": _cluster(a) is not None and _cluster(a) == _cluster(b),
        "clusters": [_cluster(a), _cluster(b)],
        "copy": _copy(text_a, text_b),
        "event": _event(a, b, print_a, print_b),
        "texts": [
            split_into_segments(text_a.compared, text_b.compared),
            split_into_segments(text_b.compared, text_a.compared),
        ],
    }


_COPY_VERDICTS = {
    PairVerdict.COPY: "copy",
    PairVerdict.TEMPLATE: "no copy: two notices of one form, filled in with other names and figures",
    PairVerdict.NONE: f"no copy: needs a Jaccard of {MIN_JACCARD} or a containment of {MIN_CONTAINMENT}",
}


def _copy(a: ComparedText, b: ComparedText) -> dict[str, Any]:
    comparison = compare_texts(a, b)
    shared = comparison.overlap
    return {
        "verdict": _COPY_VERDICTS[comparison.verdict],
        "jaccard": round(shared.jaccard, 4),
        "containment": round(shared.containment, 4),
        "shared_shingles": shared.shared,
        "shingles": [shared.size, shared.other_size],
        **asdict(find_differences(a.compared, b.compared)),
        "left_out": [_left_out(text) for text in (a, b)],
    }


def _compared(connection: Connection, article: dict[str, Any]) -> ComparedText:
    stored = StoredText.from_article(article["title"], article["text"], article["outlet"])
    outlet = stored.outlet
    recurring = None
    if outlet:
        recurring = collect_lines(read_last_texts(connection, [outlet], HEADLINES_REMEMBERED))[outlet].recurring_lines
    return cut_texts([stored], recurring)[0]


def _left_out(text: ComparedText) -> list[str]:
    """Return the lines that were not compared: they recur in their outlet, or are boilerplate by their form."""
    compared = set(text.compared.split("\n"))
    return [line for line in text.text.split("\n") if line.strip() and line not in compared]


def _event(a: dict[str, Any], b: dict[str, Any], print_a: Fingerprint, print_b: Fingerprint) -> dict[str, Any]:
    sketch_a, sketch_b = print_a.features[EVENT.name], print_b.features[EVENT.name]
    x, y = sketch_a.terms, sketch_b.terms
    _, mine, theirs = np.intersect1d(x.hashes, y.hashes, assume_unique=True, return_indices=True)
    product = x.weights[mine] * y.weights[theirs]
    top = np.argsort(-product, kind="stable")[:_TERMS]
    dates = (a["published_at"], b["published_at"])
    apart = abs((dates[0] - dates[1]).total_seconds()) / 86400 if all(dates) else None
    penalty = 0.0 if apart is None else float(compute_time_penalty(0.0, np.array([apart]))[0])
    vectors = TermVectorStore()
    vectors.add(RaggedArray.from_rows([x.hashes, y.hashes]), np.concatenate([x.weights, y.weights]))
    cosine = float(vectors.compute_cosines(*np.array([[0], [1], [0]]))[0])  # as the window has it
    score = cosine - penalty
    short = THRESHOLD - score
    shared_bands = int(np.count_nonzero(np.all((sketch_a.sketch == sketch_b.sketch).reshape(-1, 2), axis=1)))
    if a["lang"] != b["lang"]:
        verdict = "not compared: different languages"
    elif score >= THRESHOLD:
        verdict = f"near enough for one event: {score:.3f} >= {THRESHOLD}; the mean over a cluster decides"
    else:
        verdict = f"too far apart for one event: {score:.3f} < {THRESHOLD}, {short:.3f} short of it"
    return {
        "verdict": verdict,
        "probability": round(estimate_probability(score), 4),
        "score": round(score, 4),
        "cosine": round(cosine, 4),
        "time_penalty": round(penalty, 4),
        "days_apart": None if apart is None else round(apart, 2),
        "shared_bands": shared_bands,
        "terms": {x.words[int(mine[i])]: round(float(product[i]), 4) for i in top},
        **(_otherwise(x, y, short, penalty) if a["lang"] == b["lang"] else {}),
    }


def _otherwise(x: TermVector, y: TermVector, short: float, penalty: float) -> dict[str, Any]:
    """
    Return what would have turned the verdict; null where that is no question, or where not even all of it would.

    What is near enough would be too far without its heaviest shared terms. What is too far would be near enough if both
    had come out on one day, or (about) if both had said the heaviest terms that only one of them says.
    """
    mine, theirs = (dict(zip(terms.words, terms.weights.tolist(), strict=True)) for terms in (x, y))
    if short <= 0:
        shared = [(word, mine[word] * theirs[word]) for word in mine.keys() & theirs.keys()]
        return {"too_far_without": _until(-short, sorted(shared, key=_heaviest))}
    alone = [(word, (mine | theirs)[word] ** 2) for word in mine.keys() ^ theirs.keys()]
    return {
        "near_enough_on_one_day": penalty >= short if penalty else None,
        "near_enough_if_both_said": _until(short, sorted(alone, key=_heaviest)),
    }


def _heaviest(term: tuple[str, float]) -> tuple[float, str]:
    return -term[1], term[0]


def _until(needed: float, terms: Iterable[tuple[str, float]]) -> list[str] | None:
    """Return as many terms as bring together more than is needed; None if all do not."""
    chosen, total = [], 0.0
    for word, value in terms:
        chosen.append(word)
        total += value
        if total > needed:
            return chosen
    return None


def _cluster(article: dict[str, Any]) -> int | None:
    return article["membership"]["cluster_id"] if article["membership"] else None


def _article(row: dict[str, Any]) -> Article:
    return Article(title=row["title"], text=row["text"], lang=row["lang"], published_at=row["published_at"])
