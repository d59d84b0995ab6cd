"""Plain text as a scraper leaves it: headline, dateline, byline, paragraphs, and stray lines of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ingestd.core.article import Article, DateSource
from ingestd.errors import Reason, UnusableError
from ingestd.formats import dates, fields
from ingestd.formats.encoding import decode, readable
from ingestd.formats.record import ReadLimits, Record
from ingestd.formats.source import whole

HEADLINE_CHARS = 300  # a longer first line is a paragraph, not a headline
_TOP_LINES = 10  # where a dateline or a byline can stand
_DATELINE_CHARS = 120
_BYLINE_CHARS = 100
# What may stand beside the date in a dateline, besides words of four letters and fewer. A sentence that mentions a date
# has other words too.
_BESIDE_DATE = frozenset(
    ("first", "published", "publication", "posted", "created", "updated", "modified", "issued", "veröffentlicht",
     "erstellt", "aktualisiert", "stand", "publié", "publicado", "actualizado", "atualizado", "pubblicato",
     "aggiornato", "gepubliceerd", "opublikowano", "опубликовано", "обновлено", "تحديث", "monday", "tuesday",
     "wednesday", "thursday", "friday", "saturday", "sunday", "thurs", "montag", "dienstag", "mittwoch",
     "donnerstag", "freitag", "samstag", "sonntag", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi",
     "dimanche", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo", "lunedì", "martedì",
     "mercoledì", "giovedì", "venerdì", "sabato", "domenica")
)  # fmt: skip
_DATELINE = re.compile(r"[\w\s:,.;|/()\-–—•·،]*")
_WORD = re.compile(r"[^\W\d_]+")
# Names, each apart from the next, so that there is one way to read a line: else a hostile one is read in all of them.
_NAME = r"(?:[^\W\d_a-z][\w.'’\-]*|(?:de|la|von|van|der|den|di|da|bin|al|el|and|und|et|y|e|&)(?=\s))"
_NAMES = rf"{_NAME}(?:(?:\s*,\s*|\s+){_NAME})*"
_BYLINE = re.compile(
    r"(?:(?:by|von|par|por|di|door|av)\s+|(?:by|text|tekst|author|autor|auteur|autore|автор|بقلم)\s*:\s*)"
    rf"(?P<names>(?-i:{_NAMES}))(?:,\s*(?-i:[a-z])[^\d,.!?]{{2,50}})?\s*",
    re.IGNORECASE,
)
_STRAY = re.compile(
    r"(?:advertisement|advert|anzeige|werbung|publicité|publicidad|pubblicità|реклама"
    r"|story continues below advertisement|article continues after advertisement|skip advertisement"
    r"|read more|read also|weiterlesen|lire aussi|leer más|leggi anche|читайте также"
    r"|share this(?: article| story)?|share|click to share.*|copy link|save"
    r"|sign up (?:for|to) (?:our|the) .{0,60}newsletter.*|getty images)\W*",
    re.IGNORECASE,
)


def recognises(_head: bytes, _name: str) -> bool:
    """Take for text what nobody else took."""
    return True


def records(stream: BinaryIO, name: str, context: ReadLimits) -> Iterator[Record]:
    """Yield the one record of a file."""
    data = whole(stream, context.max_file_bytes)
    yield Record(1, data, _understand, len(data), name)


def article(characters: str, context: ReadLimits, *, required: bool = True) -> Article:
    """
    Return the article that a plain text file holds.

    The first line is the headline when it is short and text follows it. Lines that are only a date, a byline or a label
    of the page around the article are taken out; the first date is the date of publication.

    Raises:
        UnusableError: no words are left, and some are required.
    """
    tidy = tidied([line.strip() for line in readable(characters).splitlines()], context)
    title, body = _split(tidy.lines)
    if required and not re.search(r"\w", title or body):
        raise UnusableError(Reason.SCHEMA, "neither a title nor a text")
    return Article(
        title=title,
        text=body,
        authors=tidy.authors,
        published_at=tidy.published.at if tidy.published else None,
        published_source=DateSource.TEXT if tidy.published else None,
        published_precision=tidy.published.precision if tidy.published else None,
    )


@dataclass(frozen=True, slots=True)
class Tidy:
    """Lines of an article without those of the page around it, and what those said."""

    lines: Sequence[str]
    published: dates.Published | None
    authors: tuple[str, ...]


def tidied(lines: Sequence[str], context: ReadLimits) -> Tidy:
    """Take out datelines and bylines at the top, and stray lines anywhere."""
    published: dates.Published | None = None
    authors: tuple[str, ...] = ()
    top = 0
    kept: list[str] = []
    for line in lines:
        top += bool(line)
        if line and top <= _TOP_LINES:
            if date := _dateline(line, context):
                published = published or date
                continue
            if top > 1 and (names := _byline(line)):
                authors = authors or names
                continue
        if not _STRAY.fullmatch(line):
            kept.append(line)
    return Tidy(kept, published, authors)


def _understand(data: bytes, context: ReadLimits) -> list[Article]:
    characters = decode(data)
    if not characters.strip():
        raise UnusableError(Reason.EMPTY, "nothing but white space")
    return [article(characters, context)]


def _byline(line: str) -> tuple[str, ...]:
    found = _BYLINE.fullmatch(line) if len(line) <= _BYLINE_CHARS else None
    return tuple(fields.authors(re.sub(r"\s+(?:und|et|y|e|и|&)\s+", ", ", found["names"]))) if found else ()


def _split(lines: Sequence[str]) -> tuple[str | None, str]:
    """Return headline and text; blank lines are kept where they part paragraphs, once each."""
    body = "\n".join(lines).strip()
    if "\n\n\n" in body:
        body = re.sub(r"\n{3,}", "\n\n", body)
    first, _, rest = body.partition("\n")
    if rest.strip() and len(first) <= HEADLINE_CHARS:
        return first, rest.strip()
    return None, body


def _dateline(line: str, context: ReadLimits) -> dates.Published | None:
    if len(line) > _DATELINE_CHARS:
        return None
    found = dates.from_text(line, context.now, context.timezone)
    if not found:
        return None
    published, (start, end) = found
    # "Published On 4 Feb 20254 Feb 2025": some pages hold the date twice, once for the eye and once for the reader.
    rest = line[end:]
    again = dates.from_text(rest, context.now, context.timezone)
    after = rest[: again[1][0]] + rest[again[1][1] :] if again else rest
    return published if _beside_date(line[:start]) and _beside_date(after) else None


def _beside_date(text: str) -> bool:
    """Tell whether a line holds nothing here but what stands beside dates."""
    words = _WORD.findall(text.lower())
    return bool(_DATELINE.fullmatch(text)) and all(len(word) <= 4 or word in _BESIDE_DATE for word in words)
