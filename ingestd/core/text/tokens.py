"""
The words of many texts as numbers, straight from their characters.

Finding the words of a text one by one in Python, and looking each of them up, costs most of what weighing them costs.
So the words of a whole batch are found at once, each is hashed by differences of one running sum (Karp and Rabin 1987),
and all are looked up together.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingestd.core.text.languages import UNSPACED_CLASS

_UNSPACED_RUN = re.compile(f"[{UNSPACED_CLASS}]+")
_APOSTROPHES = (ord("'"), ord("’"))
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_LETTERS_BELOW = 0x40000  # no character above it belongs to a word
_FEWEST_SLOTS = 1 << 12
_BATCH_CHARACTERS = 1 << 17  # what stays in the processor's cache, with the running sums


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of some texts in a row."""

    text: str  # all texts, one after the other
    begins: NDArray[np.int64]  # of each word in it
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint64]  # of each word, never 0; of another word with a probability of 2**-64 or so
    counts: NDArray[np.int64]  # words of each text

    def take(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return some of them, by their numbers."""
        begins, ends = self.begins[numbers].tolist(), self.ends[numbers].tolist()
        return [self.text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def tokenize_texts(texts: Sequence[str]) -> Tokens:
    """
    Return the words of some texts, one at least, as written; characters of unspaced scripts in overlapping pairs.

    A word is a run of letters and digits, or two with an apostrophe between them.
    """
    pieces = [(owner, piece) for owner, text in enumerate(texts) for piece in _pieces(_spaced(text))]
    read, found, offset = [], [], 0
    for batch in _batches(pieces):
        owners, parts = zip(*batch, strict=True)
        text = "\n".join(["", *parts, ""])
        begins, ends, hashes, counts = _read(text, [len(part) for part in parts])
        found.append((begins + offset, ends + offset, hashes, np.repeat(owners, counts)))
        read.append(text)
        offset += len(text)
    begins, ends, hashes, of = (np.concatenate(column) for column in zip(*found, strict=True))
    return Tokens("".join(read), begins, ends, hashes, np.bincount(of, minlength=len(texts)))


def tokenize_caseless(text: str) -> Tokens:
    """Return the runs of letters and digits of one text, as written; those that differ in case alone have one hash."""
    folded = text.lower()
    if len(folded) != len(text):  # of a few letters it is longer
        folded = "".join(low if len(low := character.lower()) == 1 else character for character in text)
    found, offset = [], -1  # without the line break before the first piece
    for piece in _pieces(folded):
        characters, edges = _edges(f"\n{piece}\n")
        begins, ends = edges[0::2], edges[1::2]
        found.append((begins + offset, ends + offset, _hashes(characters, begins, ends)))
        offset += len(piece)
    begins, ends, hashes = (np.concatenate(column) for column in zip(*found, strict=True))
    return Tokens(text, begins, ends, hashes, np.array([begins.size]))


def _batches(pieces: Sequence[tuple[int, str]]) -> Iterator[Sequence[tuple[int, str]]]:
    """Yield pieces in their order, as many at a time as are read at once."""
    first = size = 0
    for at, (_, piece) in enumerate(pieces):
        if at > first and size + len(piece) >= _BATCH_CHARACTERS:
            yield pieces[first:at]
            first, size = at, 0
        size += len(piece) + 1  # with what stands between two
    yield pieces[first:]


def _read(
    text: str, sizes: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Return where words begin and end, their hashes, and how many each piece of such a size has."""
    characters, edges = _edges(text)
    begins, ends = _joined(edges[0::2], edges[1::2], characters)
    until = np.searchsorted(begins, np.cumsum(sizes) + np.arange(1, len(sizes) + 1))
    return begins, ends, _hashes(characters, begins, ends), np.diff(until, prepend=0)


def _edges(text: str) -> tuple[NDArray[np.uint8 | np.uint32], NDArray[np.int64]]:
    """Return the characters of a text between line breaks, and where its words begin and end, by turns."""
    if text.isascii():
        characters: NDArray[np.uint8 | np.uint32] = np.frombuffer(text.encode(), dtype=np.uint8)
        inside = _letters()[:128].take(characters)
    else:
        characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        inside = _letters().take(np.minimum(characters, _LETTERS_BELOW - 1))
    return characters, np.flatnonzero(inside[1:] != inside[:-1]) + 1


def _hashes(
    characters: NDArray[np.uint8 | np.uint32], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return a hash of each word, never 0."""
    powers, inverses = _powers()
    # Wrapping is wanted: these hashes are defined modulo 2**64.
    running = np.cumsum(characters * powers[: characters.size], dtype=np.uint64)
    hashes = (running[ends - 1] - running[begins - 1]) * inverses[begins]
    hashes ^= hashes >> np.uint64(32)
    hashes[hashes == 0] = 1
    return hashes


def _pieces(text: str) -> Iterator[str]:
    """Yield a text, in pieces if it is very long."""
    while len(text) > _BATCH_CHARACTERS:
        cut = text.rfind(" ", 1, _BATCH_CHARACTERS)
        cut = cut if cut > 0 else _BATCH_CHARACTERS
        yield text[:cut]
        text = text[cut:]
    yield text


def _spaced(text: str) -> str:
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text.replace("\u00ad", ""))
    if _UNSPACED_RUN.search(text):
        text = _UNSPACED_RUN.sub(lambda run: f" {' '.join(_pairs(run.group()))} ", text)
    return text


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _joined(
    begins: NDArray[np.int64], ends: NDArray[np.int64], characters: NDArray[np.uint8 | np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join every two runs that have nothing but an apostrophe between them; a third begins a word of its own."""
    close = np.flatnonzero(begins[1:] == ends[:-1] + 1)
    close = close[np.isin(characters[ends[close]], _APOSTROPHES)]
    if not close.size:
        return begins, ends
    # Where several are close in a row, every second of them joins.
    row = np.arange(close.size)
    starts = np.concatenate([[True], np.diff(close) > 1])
    first = np.maximum.accumulate(np.where(starts, row, 0))
    joins = close[(row - first) % 2 == 0]
    ends = ends.copy()
    ends[joins] = ends[joins + 1]
    kept = np.ones(begins.size, dtype=bool)
    kept[joins + 1] = False
    return begins[kept], ends[kept]


@cache
def _letters() -> NDArray[np.bool_]:
    """Tell of every character whether it is a letter or a digit."""
    found: NDArray[np.bool_] = np.strings.isalnum(np.arange(_LETTERS_BELOW, dtype="<u4").view("<U1"))
    return found


@cache
def _powers() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the powers of the base and of its inverse, as many as a batch has characters."""
    return _geometric(_BASE), _geometric(pow(_BASE, -1, 2**64))


def _geometric(ratio: int) -> NDArray[np.uint64]:
    table = np.full(2 * _BATCH_CHARACTERS, ratio, dtype=np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table, dtype=np.uint64)


class HashIndex:
    """
    Numbers for hashes, many looked up at once.

    Source: Knuth 1973, 6.4 (open addressing, linear probing).
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._size = 0
        self._hashes = np.zeros(_FEWEST_SLOTS, dtype=np.uint64)  # 0: a free place
        self._numbers = np.zeros(_FEWEST_SLOTS, dtype=np.int64)

    def get_or_add(
        self, hashes: NDArray[np.uint64], describe: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """
        Return the number of each hash (never 0).

        Args:
            hashes: in any order, with repeats.
            describe: gives hashes that are new their numbers, told where in `hashes` each comes first, ascending.
        """
        numbers = self._known(hashes)
        unknown = np.flatnonzero(numbers < 0)
        if unknown.size:
            new, first, which = np.unique(hashes[unknown], return_index=True, return_inverse=True)
            order = np.argsort(first)
            given = np.empty(new.size, dtype=np.int64)
            given[order] = describe(unknown[first[order]])
            self._add(new, given)
            numbers[unknown] = given[which]
        return numbers

    def _slots(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        mixed = hashes * np.uint64(_BASE)
        return (mixed >> np.uint64(65 - self._hashes.size.bit_length())).view(np.int64)

    def _known(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the number of each hash, -1 where there is none."""
        slots, last = self._slots(hashes), self._hashes.size - 1
        there = self._hashes[slots]
        numbers = np.where(there == hashes, self._numbers[slots], -1)
        looking = np.flatnonzero((there != hashes) & (there != 0))
        while looking.size:
            slots[looking] = (slots[looking] + 1) & last
            there = self._hashes[slots[looking]]
            found = there == hashes[looking]
            numbers[looking[found]] = self._numbers[slots[looking[found]]]
            looking = looking[~found & (there != 0)]
        return numbers

    def _add(self, hashes: NDArray[np.uint64], numbers: NDArray[np.int64]) -> None:
        """Add hashes, each once, that are not known yet."""
        self._size += hashes.size
        if 2 * self._size > self._hashes.size:
            held = self._hashes != 0
            hashes, numbers = (
                np.concatenate([self._hashes[held], hashes]),
                np.concatenate([self._numbers[held], numbers]),
            )
            slots = 2 << (2 * self._size).bit_length()
            self._hashes, self._numbers = np.zeros(slots, dtype=np.uint64), np.zeros(slots, dtype=np.int64)
        slots_of, last = self._slots(hashes), self._hashes.size - 1
        while hashes.size:
            free = self._hashes[slots_of] == 0
            self._hashes[slots_of[free]] = hashes[free]  # of several for one place the last remains
            placed = self._hashes[slots_of] == hashes
            self._numbers[slots_of[placed]] = numbers[placed]
            hashes, numbers, slots_of = hashes[~placed], numbers[~placed], (slots_of[~placed] + 1) & last
