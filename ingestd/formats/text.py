"""Plain text as a scraper leaves it: headline, standfirst, dateline, paragraphs, and stray lines of the page."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from ingestd.core.article import Article, DateSource
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates

HEADLINE_CHARS = 300  # a longer first line is a paragraph, not a headline
_TOP_LINES = 10  # where a dateline can stand
_DATELINE_CHARS = 120
# What may stand beside the date in a dateline. A sentence that mentions a date has other words too.
_BESIDE_DATE = re.compile(
    r"(?:\b(?:first |last )?(?:published|publication|posted|created|updated|modified|date|issued|on|at|by|the|of)\b"
    r"|\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b|\b[a-z]{1,4}\b|[\s:,.;|/()\-–—•·\d])*",
    re.IGNORECASE,
)
_STRAY = re.compile(
    r"(?:advertisement|advert|story continues below advertisement|article continues after advertisement"
    r"|read more|share this(?: article| story)?|share|click to share.*"
    r"|sign up (?:for|to) (?:our|the) .{0,60}newsletter.*"
    r"|skip advertisement|getty images)\W*",
    re.IGNORECASE,
)


def article(characters: str, now: datetime, zone: ZoneInfo) -> Article:
    """
    Return the article that a plain text file holds.

    The first line is the headline when it is short and text follows it. Lines that are only a date, or only a label of
    the page around the article, are taken out; the first date is the date of publication.

    Raises:
        UnusableError: no words are left.
    """
    lines = [line.strip() for line in characters.splitlines()]
    published = None
    top = 0
    kept: list[str] = []
    for line in lines:
        top += bool(line)
        date = _dateline(line, now, zone) if line and top <= _TOP_LINES else None
        published = published or date
        if date is None and not _STRAY.fullmatch(line):
            kept.append(line)
    title, body = _split(kept)
    if not re.search(r"\w", title or body):
        raise UnusableError(Reason.SCHEMA, "neither a title nor a text")
    return Article(
        title=title,
        text=body,
        published_at=published.at if published else None,
        published_source=DateSource.TEXT if published else None,
        published_precision=published.precision if published else None,
    )


def _split(lines: list[str]) -> tuple[str | None, str]:
    """Return headline and text; blank lines are kept where they part paragraphs, once each."""
    body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    first, _, rest = body.partition("\n")
    if rest.strip() and len(first) <= HEADLINE_CHARS:
        return first, rest.strip()
    return None, body


def _dateline(line: str, now: datetime, zone: ZoneInfo) -> dates.Published | None:
    if len(line) > _DATELINE_CHARS:
        return None
    found = dates.from_text(line, now, zone)
    if not found:
        return None
    published, (start, end) = found
    # "Published On 4 Feb 20254 Feb 2025": some pages hold the date twice, once for the eye and once for the reader.
    rest = line[end:]
    again = dates.from_text(rest, now, zone)
    after = rest[: again[1][0]] + rest[again[1][1] :] if again else rest
    return published if _BESIDE_DATE.fullmatch(line[:start]) and _BESIDE_DATE.fullmatch(after) else None
