"""
Lines of a page that are not its story: adverts, sign-ups, links to other pages, captions, bylines, copyright.

They are taken out of what is compared, never out of what is stored. Some are known by their form. The others are known
by what recurs: a line that an outlet carries under many headlines says nothing about any of them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingestd.core.arrays import sort_unique
from ingestd.core.text.shingles import SHORT_WORDS

# A line recurs when it stands under so many of the headlines that its outlet had last. An update seldom changes its
# headline that often while its lines stay.
HEADLINES_REMEMBERED = 32
HEADLINES_TO_RECUR = 4
# Longer lines are paragraphs of a story, whatever they begin with.
_LONGEST_FORM = 200

# What may follow the first word of such a line, for it to be one. The whole line has to match.
_FORMS: dict[str, re.Pattern[str]] = {
    first: re.compile(rest, re.IGNORECASE)
    for words, rest in {
        "advertisement advertisements advertorial anzeige werbung publicité publicidad pubblicità publicidade реклама"
        " facebook twitter whatsapp telegram linkedin instagram reddit newsletter newsletters comments loading": r"",
        "sponsored": r"(?: content)?",
        "read see watch listen also find learn": (
            r" (?:more|also|next|on|now|read|out more|the full story)\b.*|[:|>»].*"
        ),
        "lesen lies mehr": r" (?:sie (?:auch|mehr)|auch|mehr|zum thema)\b.*",
        "à lire": r" (?:lire )?(?:aussi|également|plus)\b.*",
        "lea leer lee leggi leia lees читайте": r" (?:también|más|anche|também|mais|ook|meer|также)\b.*",
        "related recommended trending popular": (
            r"(?: (?:articles?|stories|topics?|content|links?|now|for you))?(?::.*)?"
        ),
        "you more": r" (?:(?:may|might) (?:also )?(?:like|be interested in)|(?:on|from|about) this)\b.*",
        "share tweet email e-mail print save bookmark": r"(?: (?:this|on|via|with|it)\b.*)?",
        "follow join like": r" (?:us|@\w+|\w+ on)\b.*",
        "sign subscribe log register": r"(?: (?:up|now|here|today|for|to|with|in)\b.*)?",
        "get receive": r" (?:our|the|all the)\b.*\b(?:newsletters?|inbox|headlines)\b.*",
        "click tap skip": r" (?:here|to (?:main )?content)\b.*",
        "image photo picture pic video media file foto bild imagen": (
            r" ?(?:source|credit|caption|copyright)?(?: ?[:|/©].*|s? (?:by|courtesy of)\b.*|(?<=\w))"
        ),
        "getty shutterstock istock": r"(?: images)?(?:\W.*)?",
        "© copyright": r"(?:\W.*)?",
        "c": r"\) ?(?:copyright|\d{4})\b.*",
        "all this": r" (?:rights reserved|(?:material|article|story) may not be (?:published|reproduced|copied))\b.*",
        "additional further reporting writing editing compiled edited written": r" (?:(?:reporting|writing) )?by\b.*",
        "published updated posted modified": r"(?: on| at)?:? ?.{0,40}\d.{0,20}",
        "first last": r" (?:published|updated|posted|modified)(?: on| at)?:? ?.{0,40}\d.{0,20}",
        # All names, and no end: "By Ann Foyle and Ole Strand, in Brannoc".
        "by": r"(?-i: [A-Z][^.!?:]{1,80})",
    }.items()
    for first in words.split()
}
# Most lines begin like none of them, and need no closer look.
_BEGINNINGS = frozenset(f"{first} "[:3] for first in _FORMS)
_FIRST_WORD = re.compile(r"\(?(©|[^\W_]+(?:-[^\W_]+)?)")
_NOTHING = np.zeros(0, dtype=np.uint32)


def remove_known_boilerplate(text: str) -> str:
    """Return the text without the lines that are boilerplate by their form; the whole text if little else is there."""
    lines = text.split("\n")
    if len(lines) == 1:
        return text
    kept = [line for line in lines if not (0 < len(line) <= _LONGEST_FORM and _is_form(line))]
    return _or_whole(kept, lines, text)


def hash_lines(text: str) -> NDArray[np.uint32]:
    """Return a hash of every line of a text, sorted, without repeats."""
    lines = text.encode("utf-8", "replace").split(b"\n")
    return np.array(sorted({crc32(line.strip()) for line in lines if line}), dtype=np.uint32)


def remove_lines(text: str, keys: NDArray[np.uint32]) -> str:
    """Return the text without the lines that have one of these keys; the whole text if little else is there."""
    lines, gone = text.split("\n"), set(keys.tolist())
    kept = [line for line in lines if crc32(line.encode("utf-8", "replace").strip()) not in gone]
    return _or_whole(kept, lines, text)


class OutletLines:
    """What lines an outlet had under its last headlines."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lines: OrderedDict[int, NDArray[np.uint32]] = OrderedDict()  # by headline, the last one last
        self._recurring: NDArray[np.uint32] | None = _NOTHING

    def add(self, headline: str, keys: NDArray[np.uint32]) -> None:
        """Take in the lines of an article; one under a headline that is known takes the place of the earlier one."""
        headline_key = crc32(headline.strip().encode("utf-8", "replace"))
        self._lines[headline_key] = keys
        self._lines.move_to_end(headline_key)
        if len(self._lines) > HEADLINES_REMEMBERED:
            self._lines.popitem(last=False)
        self._recurring = None

    @property
    def recurring_lines(self) -> NDArray[np.uint32]:
        """Keys of the lines that recur, ascending."""
        if self._recurring is None:
            keys = np.sort(np.concatenate([*self._lines.values()]))
            others = HEADLINES_TO_RECUR - 1  # no headline has a key twice
            self._recurring = sort_unique(keys[others:][keys[others:] == keys[:-others]])
        return self._recurring


def _is_form(line: str) -> bool:
    line = line.strip() or "-"
    if line[:3].lower() not in _BEGINNINGS and line[0] not in "(©":
        return False
    first = _FIRST_WORD.match(line)
    if first is None:
        return False
    form = _FORMS.get(first[1].lower())
    return form is not None and form.fullmatch(line, first.end()) is not None


def _or_whole(kept: list[str], lines: list[str], text: str) -> str:
    if len(kept) == len(lines):
        return text
    rest = "\n".join(kept)
    return rest if len(rest.split(None, SHORT_WORDS)) >= SHORT_WORDS else text
