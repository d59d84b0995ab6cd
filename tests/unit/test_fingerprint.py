from __future__ import annotations

import pickle
from dataclasses import fields

import numpy as np
import pytest

from ingestd.core.article import Article
from ingestd.core.fingerprint import fingerprint_articles
from ingestd.core.text.term_weights import TermWeighter


@pytest.mark.parametrize("text", ["", "Zinc rose.", " ".join(f"Word{n} and more of it" for n in range(300))])
def test_a_fingerprint_arrives_in_another_process_as_it_was(text: str) -> None:
    (made,) = fingerprint_articles(
        [Article(title=None, text=text, lang="en")], lambda _: TermWeighter("en", lambda words: [1e-6] * len(words))
    )
    arrived = pickle.loads(pickle.dumps(made))
    assert (arrived.n_words, arrived.text_sha256, arrived.terms.words) == (
        made.n_words,
        made.text_sha256,
        made.terms.words,
    )
    for of, ours in ((arrived.terms, made.terms), (arrived, made)):
        for name in (field.name for field in fields(ours) if isinstance(getattr(ours, field.name), np.ndarray)):
            assert np.array_equal(getattr(of, name), getattr(ours, name))
            assert getattr(of, name).dtype == getattr(ours, name).dtype


def test_each_article_is_weighed_in_its_own_language() -> None:
    weighers = {lang: TermWeighter(lang or "", lambda words: [1e-6] * len(words)) for lang in ("en", "de", None)}
    articles = [Article(title=None, text="Zinc rose by four per cent.", lang=lang) for lang in ("en", "de", "en", None)]
    together = fingerprint_articles(articles, weighers.__getitem__)
    for article, made in zip(articles, together, strict=True):
        (alone,) = fingerprint_articles([article], weighers.__getitem__)
        assert np.array_equal(made.terms.hashes, alone.terms.hashes)
        assert np.array_equal(made.event_sketch, alone.event_sketch)
    assert np.array_equal(together[0].terms.hashes, together[2].terms.hashes)
    assert not np.array_equal(together[0].terms.hashes, together[1].terms.hashes)
