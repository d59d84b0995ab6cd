from __future__ import annotations

import pickle

import numpy as np
import pytest

from ingestd.core.article import Article
from ingestd.core.features import EVENT, FEATURES, Feature
from ingestd.core.fingerprint import Fingerprint, fingerprint_articles
from ingestd.core.text.term_weights import TermVector, TermWeighter


def get_terms(made: Fingerprint) -> TermVector:
    terms: TermVector = made.features[EVENT.name].terms
    return terms


@pytest.mark.parametrize("text", ["", "Zinc rose.", " ".join(f"Word{n} and more of it" for n in range(300))])
def test_a_fingerprint_arrives_in_another_process_as_it_was(text: str) -> None:
    (made,) = fingerprint_articles(
        [Article(title=None, text=text, lang="en")], lambda _: TermWeighter("en", lambda words: [1e-6] * len(words))
    )
    arrived = pickle.loads(pickle.dumps(made))
    assert (arrived.n_words, arrived.text_sha256) == (made.n_words, made.text_sha256)
    assert list(arrived.features) == list(made.features) == [feature.name for feature in FEATURES]
    pairs = [(arrived.shingles, made.shingles), (arrived.lines, made.lines)]
    for name, value in made.features.items():
        (arrays, words), (own, own_words) = arrived.features[name].pack(), value.pack()
        assert words == own_words
        pairs += zip(arrays, own, strict=True)
    for array, own_array in pairs:
        assert np.array_equal(array, own_array)
        assert array.dtype == own_array.dtype


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_stored_feature_is_indexed_like_a_computed_one(feature: Feature) -> None:
    articles = [Article(title=None, text=" ".join(f"w{n * k % 97}" for n in range(200)), lang="en") for k in (1, 3, 5)]
    prints = fingerprint_articles(articles, lambda _: TermWeighter("en", lambda words: [1e-6] * len(words)))
    values = [made.features[feature.name] for made in prints]
    computed, stored = feature.gather(values), feature.decode([feature.encode(value) for value in values])
    positions = np.arange(3)
    found = []
    for columns in (computed, stored):
        index = feature.make_index()
        index.add(columns)
        candidates = index.find_candidates(columns, positions, np.full(3, 3))
        found.append((candidates.queries.tolist(), candidates.positions.tolist(), candidates.shared.tolist()))
    assert found[0] == found[1]


def test_each_article_is_weighed_in_its_own_language() -> None:
    weighers = {lang: TermWeighter(lang or "", lambda words: [1e-6] * len(words)) for lang in ("en", "de", None)}
    articles = [Article(title=None, text="Zinc rose by four per cent.", lang=lang) for lang in ("en", "de", "en", None)]
    together = fingerprint_articles(articles, weighers.__getitem__)
    for article, made in zip(articles, together, strict=True):
        (alone,) = fingerprint_articles([article], weighers.__getitem__)
        assert np.array_equal(get_terms(made).hashes, get_terms(alone).hashes)
        assert np.array_equal(made.features[EVENT.name].sketch, alone.features[EVENT.name].sketch)
    assert np.array_equal(get_terms(together[0]).hashes, get_terms(together[2]).hashes)
    assert not np.array_equal(get_terms(together[0]).hashes, get_terms(together[1]).hashes)
