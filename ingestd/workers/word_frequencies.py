"""Term weights by language, from the background frequencies of wordfreq."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from zlib import crc32

import numpy as np

from ingestd.core.text.languages import find_frequency_list
from ingestd.core.text.term_weights import TermWeighter
from ingestd.core.text.vocabulary import BackgroundFrequencies, estimate_frequencies


@cache
def load_term_weighter(lang: str | None) -> TermWeighter:
    """Return the term weights of a language; a language without a word list is weighed by the length of the words."""
    import wordfreq  # loads a word list

    listed = find_frequency_list(lang)
    if listed not in wordfreq.available_languages("best"):
        return TermWeighter(lang or "", estimate_frequencies)
    return TermWeighter(lang or "", load_frequencies(listed or ""))


def load_frequencies(lang: str) -> BackgroundFrequencies:
    """
    Return a look-up of many words with 8 bytes a word, where the dictionary takes 150.

    A word missing from the list is taken for a listed word with a probability of .0001.
    """
    import wordfreq

    # The list holds words by frequency, in steps of a hundredth of a power of ten.
    steps = wordfreq.get_frequency_list(lang, wordlist="best")
    sizes = [len(words) for words in steps]
    values = np.repeat([wordfreq.cB_to_freq(-step) for step in range(len(steps))], sizes).astype(np.float32)
    words = map(str.encode, chain.from_iterable(steps))
    hashes = np.fromiter(map(crc32, words), dtype=np.uint32, count=sum(sizes))
    order = np.argsort(hashes)
    hashes, values = hashes[order], values[order]
    wordfreq.get_frequency_list.cache_clear()

    def look_up(asked: Sequence[str]) -> list[float]:
        wanted = np.array([crc32(word.encode("utf-8", "replace")) for word in asked], dtype=np.uint32)
        at = hashes[:-1].searchsorted(wanted)
        frequencies: list[float] = np.where(hashes[at] == wanted, values[at], np.float32(0)).tolist()
        return frequencies

    return look_up
