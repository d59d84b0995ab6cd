"""
Finding copies, beside datasketch and rensa in one run: speed, recall, the index, and what grows with it.

    python -m tests.benchmark.copies [N]      N articles (10,000), then the index at up to 1,000,000

Every route gets the same texts, one after the other in each round, and does the same job: words, shingles of five,
signatures of 128 positions, an index that is asked before each insertion, and an exact comparison of every candidate.
Medians of the rounds. Recall and precision are against the copies that were planted.
"""

from __future__ import annotations

import gc
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rensa
import xxhash
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from ingestd.core.copies.verify import MIN_CONTAINMENT, MIN_JACCARD, ComparedText, PairVerdict, compare_texts
from ingestd.core.features.copy_feature import (
    COPY_BANDS,
    COPY_CANDIDATES,
    COPY_ROWS,
    COPY_SCHEME,
    make_copy_keys,
    sample_shingles,
)
from ingestd.core.lsh.copy_index import CopyIndex
from ingestd.core.lsh.inverted_index import Candidates, InvertedIndex, hash_bands
from ingestd.core.lsh.minhash import sign_sets
from ingestd.core.ragged_array import RaggedArray
from ingestd.core.text.boilerplate import remove_known_boilerplate
from ingestd.core.text.shingles import WIDTH, hash_shingles
from tests.support.made_corpus import Made, articles

ROUNDS = 5
BATCH = 512  # ingest.batch_files
_WORD = re.compile(r"\w+")

Pairs = list[tuple[int, int]]


def with_ingestd(texts: list[str]) -> Pairs:
    """The same calls as the program makes, without what it does about events."""
    index = CopyIndex()
    compared: list[ComparedText] = []
    found: Pairs = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        sets = hash_shingles([remove_known_boilerplate(text) for text in batch])
        compared += [ComparedText(*one) for one in zip(batch, batch, sets, strict=True)]
        keys = make_copy_keys(sign_sets(sets, COPY_SCHEME))
        samples = RaggedArray.from_rows([sample_shingles(shingles) for shingles in sets])
        index.add(keys, samples)
        own = np.arange(start, start + len(batch))
        for article, others in proposed(own, index.find_candidates(keys, samples, own, own)):
            found += [
                (article, o)
                for o in others
                if compare_texts(compared[article], compared[o]).verdict is PairVerdict.COPY
            ]
    return found


def proposed(own: NDArray[np.int64], found: Candidates) -> Iterator[tuple[int, list[int]]]:
    """Yield each article that has candidates with the best of them."""
    edges = np.searchsorted(found.queries, np.arange(own.size + 1))
    for i in np.flatnonzero(np.diff(edges)).tolist():
        yield int(own[i]), found.positions[edges[i] : min(edges[i + 1], edges[i] + COPY_CANDIDATES)].tolist()


def shingled(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + WIDTH]) for i in range(max(1, len(words) - WIDTH + 1))}


def same(one: set[str], other: set[str]) -> bool:
    shared = len(one & other)
    jaccard = shared / (len(one) + len(other) - shared)
    return jaccard >= MIN_JACCARD or shared / min(len(one), len(other)) >= MIN_CONTAINMENT


def with_datasketch(texts: list[str]) -> Pairs:
    sets = [shingled(text) for text in texts]
    encoded = [[shingle.encode() for shingle in shingles] for shingles in sets]
    signatures = MinHash.bulk(encoded, num_perm=128, hashfunc=xxhash.xxh32_intdigest)
    index = MinHashLSH(num_perm=128, params=(25, 5))
    found: Pairs = []
    for article, signature in enumerate(signatures):
        found += [(article, other) for other in index.query(signature) if same(sets[article], sets[other])]
        index.insert(article, signature, check_duplication=False)
    return found


def with_rensa(texts: list[str]) -> Pairs:
    sets = [shingled(text) for text in texts]
    index = rensa.RMinHashLSH(threshold=0.5, num_perm=128, num_bands=32)
    found: Pairs = []
    for article, shingles in enumerate(sets):
        signature = rensa.RMinHash(num_perm=128, seed=1)
        signature.update(list(shingles))
        found += [(article, other) for other in index.query(signature) if same(shingles, sets[other])]
        index.insert(article, signature)
    return found


def quality(made: list[Made], found: Pairs) -> tuple[float, float]:
    """Return recall, of the copies that were matched with another of their group, and the precision of the pairs."""
    group = [article.copy_of or article.id for article in made]
    right = [(a, b) for a, b in found if group[a] == group[b]]
    seen = {article for pair in right for article in pair}
    planted = [i for i, article in enumerate(made) if article.copy_of]
    return sum(i in seen for i in planted) / len(planted), len(right) / max(1, len(found))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def text_to_copies(n: int) -> None:
    made = list(articles(n))
    texts = [article.text for article in made]
    words = sum(len(text.split()) for text in texts) / n
    print(f"Text to verified copies, {n:,} articles of {words:.0f} words, {ROUNDS} rounds, one thread")
    routes = {
        "ingestd 42x3 + sample": with_ingestd,
        "datasketch bulk xxh32 25x5": with_datasketch,
        "rensa 32x4": with_rensa,
    }
    seconds: dict[str, list[float]] = {name: [] for name in routes}
    answers: dict[str, Pairs] = {}
    for _ in range(ROUNDS):
        for name, route in routes.items():
            took, answers[name] = timed(lambda route=route: route(texts))
            seconds[name].append(took)
    reference = statistics.median(seconds["datasketch bulk xxh32 25x5"])
    for name, took in seconds.items():
        median = statistics.median(took)
        recall, precision = quality(made, answers[name])
        print(
            f"  {name:28} {n / median:8,.0f} articles/s  {reference / median:5.1f} times datasketch"
            f"  recall {recall:.3f}  precision {precision:.3f}"
        )


def signatures(n: int) -> NDArray[np.uint32]:
    """Signatures of n articles, of which 15 % are copies of another with a Jaccard of about .7."""
    rng = np.random.default_rng(1)
    made = rng.integers(0, 2**32, size=(n, 128), dtype=np.uint32)
    copies = int(n * 0.15)
    same_position = rng.random((copies, 128)) < 0.7
    made[n - copies :][same_position] = made[rng.integers(0, n - copies, copies)][same_position]
    return made[rng.permutation(n)]


def batches(made: NDArray[np.uint32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    for start in range(0, len(made), BATCH):
        part = made[start : start + BATCH]
        yield np.arange(start, start + len(part)), part


def filled(made: NDArray[np.uint32], bands: int, rows: int) -> InvertedIndex:
    index = InvertedIndex()
    for positions, part in batches(made):
        keys, counts = hash_bands(part, bands, rows).ravel(), np.full(len(part), bands)
        index.add(keys, counts)
        index.find_candidates(keys, counts, positions, positions)
    return index


def index_beside_datasketch(n: int) -> None:
    made = signatures(n)
    theirs = [MinHash(num_perm=128, hashvalues=row, scheme="affine32") for row in made]

    def fill_datasketch(bands: int, rows: int) -> None:
        index = MinHashLSH(num_perm=128, params=(bands, rows))
        for article, signature in enumerate(theirs):
            index.query(signature)
            index.insert(article, signature, check_duplication=False)

    print(f"Index, insert and query, {n:,} articles, 3 rounds")
    shapes = ((25, 5), (COPY_BANDS, COPY_ROWS))
    ours: dict[tuple[int, int], list[float]] = {shape: [] for shape in shapes}
    datasketch: dict[tuple[int, int], list[float]] = {shape: [] for shape in shapes}
    for _ in range(3):
        for bands, rows in shapes:
            datasketch[bands, rows].append(timed(lambda b=bands, r=rows: fill_datasketch(b, r))[0])
            ours[bands, rows].append(timed(lambda b=bands, r=rows: filled(made, b, r))[0])
    for shape in shapes:
        us, them = (1e6 * statistics.median(took[shape]) / n for took in (ours, datasketch))
        bands, rows = shape
        print(
            f"  {bands}x{rows}  ingestd {us:6.1f} us an article  datasketch {them:6.1f}  {them / us:5.1f} times as long"
        )


def growth() -> None:
    print("Growth of the index 42x3 (memory: with the signature of 512 bytes, which it does not need to keep)")
    for n in (10_000, 100_000, 1_000_000):
        made = signatures(n)
        start = time.perf_counter()
        index = filled(made, COPY_BANDS, COPY_ROWS)
        took = time.perf_counter() - start
        size = index.nbytes / n
        print(f"  {n:9,} articles  {1e6 * took / n:6.1f} us an article  {size:5.0f} + 512 bytes an article")


def rebuild(n: int) -> None:
    made = signatures(n)
    start = time.perf_counter()
    index = InvertedIndex()
    index.reserve(n * COPY_BANDS)
    for first in range(0, n, 1000):  # as they come from the database
        part = made[first : first + 1000]
        index.add(hash_bands(part, COPY_BANDS, COPY_ROWS).ravel(), np.full(len(part), COPY_BANDS))
    nothing = np.zeros(0, dtype=np.int64)
    index.find_candidates(nothing.astype(np.uint32), nothing, nothing, nothing)  # it is made ready when it is asked
    print(f"Rebuilding the index of {n:,} articles from their signatures: {time.perf_counter() - start:.1f} s")


def main() -> None:
    text_to_copies(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    index_beside_datasketch(100_000)
    growth()
    rebuild(500_000)


if __name__ == "__main__":
    main()
