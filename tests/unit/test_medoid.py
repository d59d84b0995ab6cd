from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.events.medoid import TELLING_TERMS, find_medoids
from ingestd.core.features import COPY, EVENT
from ingestd.core.features.copy_feature import COPY_SCHEME, CopySignature
from ingestd.core.features.event_feature import EVENT_SCHEME, EventSketch
from ingestd.core.text.term_weights import TERM_BITS, TermVector
from ingestd.core.window.columns import WindowColumns, WindowRow
from ingestd.core.window.window import Window

article = st.tuples(
    st.dictionaries(st.integers(0, 60), st.floats(0.1, 1.0), max_size=40),
    st.none() | st.integers(0, 20),  # day
    st.integers(20, 22),  # words
    st.integers(1, 3),  # cluster
)


def entry(number: int, terms: dict[int, float], day: int | None, n_words: int, cluster: int) -> WindowRow:
    hashes = np.array(sorted(terms), dtype=np.uint32) << np.uint32(32 - TERM_BITS)
    weights = np.array([terms[term] for term in sorted(terms)], dtype=np.float32)
    published = None if day is None else datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=day)
    return WindowRow(
        article_id=number, published_at=published, day=(published or datetime(2025, 3, 1, tzinfo=UTC)).date(),
        n_words=n_words, outlet=None, canonical_id=number, cluster_id=cluster,
        features={
            COPY.name: CopySignature(np.zeros(COPY_SCHEME.length, dtype=np.uint32), np.zeros(0, dtype=np.uint32)),
            EVENT.name: EventSketch(
                np.zeros(EVENT_SCHEME.length, dtype=np.uint32),
                TermVector(hashes, weights / np.float32(np.linalg.norm(weights) or 1), ""),
            ),
        },
    )  # fmt: skip


@given(st.lists(article, min_size=1, max_size=12))
def test_the_article_nearest_to_all_others_speaks_and_its_terms_are_told_best_first(drawn: list[tuple]) -> None:  # type: ignore[type-arg]
    window = Window(days=30, max_articles=1000)
    window.add(WindowColumns.from_rows([entry(number, *one) for number, one in enumerate(drawn, 1)]))
    found = find_medoids(window, [1, 2, 3, 4])
    assert found.keys() == {cluster for *_, cluster in drawn}
    for cluster, medoid in found.items():
        speaker, telling = medoid.article_id, medoid.telling_terms
        members = window.memberships.list_members(cluster)
        scores = window.scores.score_all_pairs(members)
        nearness = scores.sum(axis=1) - scores.diagonal()
        assert nearness[members.tolist().index(speaker)] >= nearness.max() - 1e-5
        if members.size <= 2:  # both are as near
            assert speaker == min(members.tolist(), key=lambda a: window.articles.rank(a).sort_key)
        heaviness: dict[int, float] = {}
        each = [window.scores.list_terms(members[i : i + 1]) for i in range(members.size)]
        held = [dict(zip(terms.tolist(), weights.tolist(), strict=True)) for terms, weights, _ in each]
        for term in {term for terms in held for term in terms}:
            own = [terms[term] for terms in held if term in terms]
            elsewhere = int(window.scores.count_articles_with(np.array([term], dtype=np.uint32))[0]) - len(own)
            heaviness[term] = sum(own) * (1 + np.log((1 + len(drawn)) / (1 + elsewhere)))
        ranked = [heaviness[term] for term in telling.tolist()]
        assert len(ranked) == min(len(heaviness), TELLING_TERMS)
        assert np.allclose(ranked, sorted(heaviness.values(), reverse=True)[: len(ranked)], rtol=1e-5)
        assert ranked == sorted(ranked, reverse=True) or np.all(np.diff(ranked) < 1e-5)
