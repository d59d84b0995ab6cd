from __future__ import annotations

import subprocess
import sys

import numpy as np
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.lsh.minhash import SignatureScheme, sign_sets, sign_weighted_sets

LAZY_IMPORT = """
import sys
from ingestd.core.features.copy_feature import COPY_SCHEME
from ingestd.core.lsh.minhash import get_permutations

assert "datasketch" not in sys.modules
get_permutations(COPY_SCHEME)
assert "datasketch" in sys.modules
"""

hashes = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=700, unique=True)


def to_array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint32)


@given(hashes, st.integers(1, 5))
def test_signatures_are_those_of_datasketch(values: list[int], seed: int) -> None:
    theirs = MinHash(num_perm=128, seed=seed, hashfunc=int, scheme="affine32")
    theirs.update_batch(values)
    assert np.array_equal(sign_sets([to_array(values)], SignatureScheme(128, seed))[0], theirs.hashvalues)


@given(hashes)
def test_order_and_repeats_do_not_change_a_signature(values: list[int]) -> None:
    once, backwards_twice = to_array(values), to_array(values[::-1] * 2)
    signatures = sign_sets([once, backwards_twice], SignatureScheme())
    assert np.array_equal(signatures[0], signatures[1])


def test_the_estimate_of_jaccard_stays_within_its_binomial_bound() -> None:
    rng = np.random.default_rng(7)
    off = []
    for _ in range(60):
        shared, own = rng.integers(50, 400), rng.integers(1, 300)
        values = rng.choice(2**32, size=shared + 2 * own, replace=False).astype(np.uint32)
        a, b = values[: shared + own], np.concatenate([values[:shared], values[shared + own :]])
        jaccard = shared / (shared + 2 * own)
        one, other = sign_sets([a, b], SignatureScheme(128))
        off.append((np.mean(one == other) - jaccard) / np.sqrt(jaccard * (1 - jaccard) / 128))
    # Standard scores: mean 0, deviation 1, none beyond 4.
    assert abs(np.mean(off)) < 0.4
    assert 0.75 < np.std(off) < 1.3
    assert np.abs(off).max() < 4


def test_a_weighted_sketch_takes_terms_in_proportion_to_their_mass() -> None:
    terms = to_array([11, 22, 33])
    masses = np.array([0.6, 0.3, 0.1], dtype=np.float32)
    sketch = sign_weighted_sets([terms], [masses], SignatureScheme(4096))[0]
    shares = [float(np.mean(sketch == term)) for term in terms]
    assert np.allclose(shares, masses, atol=0.03)


def test_sketches_agree_as_often_as_the_probability_jaccard_similarity_says() -> None:
    # Moulton and Jiang 2018: the sum over shared terms of 1 / sum over all terms of max(x_j / x_i, y_j / y_i).
    x, y = {1: 0.5, 2: 0.3, 3: 0.2}, {2: 0.6, 3: 0.1, 4: 0.3}
    expected = sum(
        1 / sum(max(x.get(j, 0) / x[i], y.get(j, 0) / y[i]) for j in x | y) for i in x.keys() & y.keys()
    )  # fmt: skip
    sketches = sign_weighted_sets(
        [to_array(list(v)) for v in (x, y)], [np.array(list(v.values()), dtype=np.float32) for v in (x, y)],
        SignatureScheme(4096),
    )  # fmt: skip
    assert abs(np.mean(sketches[0] == sketches[1]) - expected) < 0.03


def test_an_empty_set_gets_the_largest_value_everywhere() -> None:
    empty = sign_sets([np.zeros(0, dtype=np.uint32)], SignatureScheme())[0]
    assert (empty == 2**32 - 1).all()


def test_datasketch_is_imported_only_where_a_signature_is_made() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY_IMPORT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
