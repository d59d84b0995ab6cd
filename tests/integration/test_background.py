from __future__ import annotations

import subprocess
import sys

import pytest
import wordfreq

from ingestd.core.text.vocabulary import estimate_frequencies
from ingestd.workers.word_frequencies import load_frequencies, load_term_weighter


@pytest.mark.parametrize("lang", ["en", "de", "zh"])
def test_frequencies_are_those_of_wordfreq(lang: str) -> None:
    frequency = load_frequencies(lang)
    known = wordfreq.get_frequency_dict(lang, wordlist="best")
    words = [*list(known)[:300], *list(known)[-300:]]
    assert frequency(words) == pytest.approx([known[word] for word in words], rel=1e-6)
    assert frequency(["qzxwvkjh"]) == [0.0]


def test_a_language_without_a_list_is_weighed_by_the_length_of_its_words() -> None:
    terms = load_term_weighter("eo").weigh_article(None, "la sendependeco")
    weight = dict(zip(terms.words, terms.weights.tolist(), strict=True))
    assert weight["la"] < weight["sendependeco"]
    short, long = estimate_frequencies(["la", "sendependeco"])
    assert short > long


LIGHT_IMPORT = """
import sys
from ingestd.workers.light_datasketch import import_datasketch
import_datasketch()
assert "datasketch" in sys.modules and "scipy.integrate" not in sys.modules, "the heavy part was loaded"
from datasketch import MinHash, MinHashLSH
index, one = MinHashLSH(threshold=0.5, num_perm=16), MinHash(num_perm=16)
index.insert("one", one)
assert index.query(one) == ["one"]
assert "scipy.integrate" in sys.modules
"""


def test_datasketch_is_whole_though_the_part_that_integrates_is_loaded_when_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT_IMPORT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
