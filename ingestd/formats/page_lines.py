"""
Lines around a story: datelines, bylines, adverts and other labels of the page.

Plain text and extracted web pages still hold such lines. The first date and the first byline at the top describe the
article; all these lines are removed from the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingestd.core.text.languages import LANGUAGES, Language, collect_words, join_words
from ingestd.formats import dates
from ingestd.formats.fields import split_authors
from ingestd.formats.record import ReadLimits

_TOP_LINES = 10  # where a dateline or a byline can stand
_DATELINE_CHARS = 120
_BYLINE_CHARS = 100
_SHORT_WORD = 4  # letters; such words may stand beside the date in a dateline, in any language
_DATELINE = re.compile(r"[\w\s:,.;|/()\-–—•·،]*")
_WORD = re.compile(r"[^\W\d_]+")
_NAME_START = r"[^\W\d_a-z]"


@dataclass(frozen=True, slots=True)
class LinePatterns:
    """Compiled expressions for the lines of a page, in all known languages at once."""

    byline: re.Pattern[str]  # group `names`
    conjunction: re.Pattern[str]  # between names
    stray: re.Pattern[str]
    dateline_words: frozenset[str]  # words beside a date; a sentence that mentions a date has other words too


@dataclass(frozen=True, slots=True)
class StoryLines:
    """The lines of a story, and the facts in the lines around the story."""

    lines: Sequence[str]
    published: dates.PublicationDate | None
    authors: tuple[str, ...]


def compile_patterns(languages: Iterable[Language]) -> LinePatterns:
    """Return the expressions that recognise page lines of some languages."""
    languages = tuple(languages)
    # Names, each apart from the next, so that there is one way to read a line: else a hostile line is read in all ways.
    # So a conjunction that could begin a name ("и") is a name here.
    joining = [word for word in collect_words("conjunctions", languages) if not re.match(_NAME_START, word)]
    inside = "|".join(dict.fromkeys((*collect_words("name_particles", languages), *joining)))
    name = rf"(?:{_NAME_START}[\w.'’\-]*|(?:{inside})(?=\s))"
    names = rf"{name}(?:(?:\s*,\s*|\s+){name})*"
    byline = (
        rf"(?:(?:{join_words('byline_words', languages)})\s+|(?:{join_words('byline_labels', languages)})\s*:\s*)"
        rf"(?P<names>(?-i:{names}))(?:,\s*(?-i:[a-z])[^\d,.!?]{{2,50}})?\s*"
    )
    # `split_authors` splits at the English conjunction.
    foreign = "|".join(word for word in collect_words("conjunctions", languages) if word != "and")
    stray = f"{join_words('advert_labels', languages)}|{join_words('stray_patterns', languages)}"
    return LinePatterns(
        byline=re.compile(byline, re.IGNORECASE),
        conjunction=re.compile(rf"\s+(?:{foreign})\s+"),
        stray=re.compile(rf"(?:{stray})\W*", re.IGNORECASE),
        dateline_words=frozenset((*collect_words("dateline_words", languages), *collect_words("weekdays", languages))),
    )


_PATTERNS = compile_patterns(LANGUAGES.values())


def separate_page_lines(lines: Sequence[str], limits: ReadLimits, patterns: LinePatterns = _PATTERNS) -> StoryLines:
    """Remove datelines and bylines at the top, and stray lines anywhere."""
    published: dates.PublicationDate | None = None
    authors: tuple[str, ...] = ()
    n_lines = 0  # without blank lines
    story: list[str] = []
    for line in lines:
        n_lines += bool(line)
        if line and n_lines <= _TOP_LINES:
            if date := _parse_dateline(line, limits, patterns):
                published = published or date
                continue
            if n_lines > 1 and (names := _parse_byline(line, patterns)):
                authors = authors or names
                continue
        if not patterns.stray.fullmatch(line):
            story.append(line)
    return StoryLines(story, published, authors)


def _parse_byline(line: str, patterns: LinePatterns) -> tuple[str, ...]:
    match = patterns.byline.fullmatch(line) if len(line) <= _BYLINE_CHARS else None
    return tuple(split_authors(patterns.conjunction.sub(", ", match["names"]))) if match else ()


def _parse_dateline(line: str, limits: ReadLimits, patterns: LinePatterns) -> dates.PublicationDate | None:
    if len(line) > _DATELINE_CHARS:
        return None
    first = dates.find_date(line, limits.now, limits.timezone)
    if not first:
        return None
    published, (start, end) = first
    # "Published On 4 Feb 20254 Feb 2025": some pages hold the date twice, for the eye and for the screen reader.
    rest = line[end:]
    second = dates.find_date(rest, limits.now, limits.timezone)
    after = rest[: second[1][0]] + rest[second[1][1] :] if second else rest
    stands_alone = _is_beside_date(line[:start], patterns) and _is_beside_date(after, patterns)
    return published if stands_alone else None


def _is_beside_date(text: str, patterns: LinePatterns) -> bool:
    """Return whether all words may stand beside the date in a dateline."""
    words = _WORD.findall(text.lower())
    return bool(_DATELINE.fullmatch(text)) and all(
        len(word) <= _SHORT_WORD or word in patterns.dateline_words for word in words
    )
