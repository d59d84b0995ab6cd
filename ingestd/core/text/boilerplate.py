"""
Find lines of a page outside the story: adverts, sign-ups, links to other pages, captions, bylines, copyright.

Comparisons leave such lines out; stored texts stay complete. Known forms recognise some of the lines. The others recur:
a line that an outlet prints under many headlines says nothing about any of the stories.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique
from ingestd.core.text.languages import map_ignored_lines
from ingestd.core.text.pieces import cut_lines
from ingestd.core.text.shingles import SHORT_WORDS

# A line recurs if printed under `HEADLINES_TO_RECUR` of the outlet's last headlines. Updates of one story seldom change
# the headline so often and keep the lines.
HEADLINES_REMEMBERED = 32
HEADLINES_TO_RECUR = 4
# Longer lines are paragraphs of a story, whatever they begin with.
_LONGEST_FORM = 200

_FIRST_WORD = re.compile(r"\(?(©|[^\W_]+(?:-[^\W_]+)?)")
_NOTHING = np.zeros(0, dtype=np.uint32)


class LineForms:
    """Recognises boilerplate lines by form: a first word, and an expression for the rest of the line."""

    def __init__(self, rests: Mapping[str, str]) -> None:
        """Compile the expressions, given by the first word in lower case."""
        self._rests = {first: re.compile(rest, re.IGNORECASE) for first, rest in rests.items()}
        # Most lines begin with none of the words and need no closer look.
        self._beginnings = frozenset(f"{first} "[:3] for first in rests)

    def matches(self, line: str) -> bool:
        """Return whether the line as a whole has one of the forms."""
        line = line.strip() or "-"
        if line[:3].lower() not in self._beginnings and line[0] not in "(©":
            return False
        first = _FIRST_WORD.match(line)
        if first is None:
            return False
        rest = self._rests.get(first[1].lower())
        return rest is not None and rest.fullmatch(line, first.end()) is not None


_KNOWN_FORMS = LineForms(map_ignored_lines())


def remove_known_boilerplate(text: str, forms: LineForms = _KNOWN_FORMS) -> str:
    """Return the text without lines of a known form; the whole text if little else remains."""
    if "\n" not in text:
        return text
    return _keep_lines(text, lambda line: not (0 < len(line) <= _LONGEST_FORM and forms.matches(line)))


def hash_lines(text: str) -> NDArray[np.uint32]:
    """Return the hashes of the lines of a text, sorted, without repeats."""
    parts = [_hash_piece(piece) for piece in cut_lines(text)]
    return parts[0] if len(parts) == 1 else sort_unique(np.concatenate(parts))


def remove_lines(text: str, keys: NDArray[np.uint32]) -> str:
    """Return the text without the lines with these hashes; the whole text if little else remains."""
    removed = set(keys.tolist())
    return _keep_lines(text, lambda line: crc32(line.encode("utf-8", "replace").strip()) not in removed)


class OutletLines:
    """Lines of an outlet under the last headlines."""

    def __init__(self) -> None:
        """Create an empty memory."""
        self._lines: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()  # by hash of the headline, newest last
        self._recurring: NDArray[np.uint32] | None = _NOTHING

    def add(self, headline: str, keys: NDArray[np.uint32]) -> None:
        """Add the lines of an article; they replace the lines of an earlier article with the same headline."""
        headline_key = crc32(headline.strip().encode("utf-8", "replace"))
        self._lines[headline_key] = keys
        self._lines.move_to_end(headline_key)
        if len(self._lines) > HEADLINES_REMEMBERED:
            self._lines.popitem(last=False)
        self._recurring = None

    @property
    def recurring_lines(self) -> NDArray[np.uint32]:
        """Hashes of the lines that recur, ascending."""
        if self._recurring is None:
            keys = np.sort(np.concatenate([*self._lines.values()]))
            others = HEADLINES_TO_RECUR - 1  # no headline has a key twice
            self._recurring = sort_unique(keys[others:][keys[others:] == keys[:-others]])
        return self._recurring


def _hash_piece(piece: str) -> NDArray[np.uint32]:
    lines = piece.encode("utf-8", "replace").split(b"\n")
    return np.array(sorted({crc32(line.strip()) for line in lines if line}), dtype=np.uint32)


def _keep_lines(text: str, is_kept: Callable[[str], bool]) -> str:
    """Return the text with some of the lines; the whole text if fewer than `SHORT_WORDS` words remain."""
    parts = []
    complete = True
    for piece in cut_lines(text):
        lines = piece.split("\n")
        kept = [line for line in lines if is_kept(line)]
        complete = complete and len(kept) == len(lines)
        if kept:
            parts.append("\n".join(kept))
    if complete:
        return text
    rest = "\n".join(parts)
    return rest if len(rest.split(None, SHORT_WORDS)) >= SHORT_WORDS else text
