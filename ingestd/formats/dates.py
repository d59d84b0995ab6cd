"""Dates of publication in the forms of records, datelines, addresses and names of files."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from zoneinfo import ZoneInfo

from ingestd.core.article import DatePrecision
from ingestd.core.text.languages import LANGUAGES, join_words, list_month_languages

_EARLIEST_YEAR = 1800  # newspapers of today's kind are younger: an earlier date is a mistake
_CLOCK_SKEW = timedelta(days=1)  # a dateline may be in a zone that is ahead of ours
_ZONES = LANGUAGES["en"].time_zones
_MONTH_LANGUAGES = list_month_languages()
_MONTH = r"(?P<month>[^\W\d_]{3,14})\.?"
_OF = rf"(?:(?:{join_words('of_patterns')})\s*)?"
_DAY_MONTH_YEAR = (
    rf"(?P<day>\d{{1,2}})(?:\.|{join_words('ordinal_endings')})?\s+{_OF}{_MONTH},?\s+{_OF}(?P<year>\d{{4}})"
    rf"(?:\s*(?:{join_words('year_marks')})\.)?"
)
_MONTH_DAY_YEAR = (
    rf"{_MONTH}\s+(?P<day>\d{{1,2}})(?:{'|'.join(LANGUAGES['en'].ordinal_endings)})?,?\s+(?P<year>\d{{4}})"
)
_ISO = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
_DOTTED = r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})"
_DATE_UNITS = [language.date_units for language in LANGUAGES.values() if language.date_units]
_YEAR_UNITS, _MONTH_UNITS, _DAY_UNITS = ("".join(units) for units in zip(*_DATE_UNITS, strict=True))
_EASTERN = (
    rf"(?P<year>\d{{4}})\s?[{_YEAR_UNITS}]\s?(?P<month>\d{{1,2}})\s?[{_MONTH_UNITS}]\s?(?P<day>\d{{1,2}})"
    rf"\s?[{_DAY_UNITS}]"
)
_TIME = (
    rf"(?:,?\s*(?:{join_words('at_patterns')}|T|-|–|\||·)?\s*"
    r"(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?:\(?(?P<zone>[A-Za-z]{1,4})\)?(?![A-Za-z])|(?P<offset>[+-]\d{2}:?\d{2}))?)?"
)
_WRITTEN_DATES = [
    re.compile(rf"(?<!\d){form}{_TIME}", re.IGNORECASE)
    for form in (_DAY_MONTH_YEAR, _MONTH_DAY_YEAR, _ISO, _DOTTED, _EASTERN)
]
_YEAR = re.compile(r"\d{4}")
# A date in an address or the name of a file: 2025/02/04, 2025-02-04, 20250204.
_IN_NAME = re.compile(
    r"(?<!\d)(?P<year>(?:18|19|20)\d{2})(?P<mark>[-_/.]?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d)"
)
_TO_THE_MINUTE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?:Z|\s?[+-]\d{2}:?\d{2})?")
_LONGEST_DATE = 200  # characters; the date in a longer text is searched for at the beginning
_EPOCH_MILLISECONDS = 1e11  # as seconds this would be the year 5138


@dataclass(frozen=True, slots=True)
class PublicationDate:
    """A date of publication, and the precision of the source."""

    at: datetime  # UTC
    precision: DatePrecision


def parse_date(value: object, now: datetime, zone: ZoneInfo) -> PublicationDate | None:
    """
    Return the date in a field of a record.

    Args:
        value: text, seconds or milliseconds since 1970, a date, or an object that wraps one of these.
        now: later dates are mistakes.
        zone: the time zone of dates without a time zone.

    Returns:
        None: no date, or a date that cannot be true.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _convert_epoch(value, now)
    if isinstance(value, date):  # YAML and TOML have dates of their own
        value = value.isoformat()
    if isinstance(value, dict):  # {"$date": ...} of MongoDB exports
        return parse_date(next(iter(value.values()), None), now, zone)
    return _parse_text(str(value).strip(), now, zone)


def find_date(text: str, now: datetime, zone: ZoneInfo) -> tuple[PublicationDate, tuple[int, int]] | None:
    """Return the first date in running text, with the start and the end of the date, or None."""
    if not _YEAR.search(text):
        return None
    matches = sorted(
        (match for pattern in _WRITTEN_DATES for match in pattern.finditer(text)), key=lambda m: (m.start(), -m.end())
    )
    for match in matches:
        published = _convert_match(match, now, zone)
        if published:
            return published, match.span()
    return None


def find_date_in_name(name: str, now: datetime) -> PublicationDate | None:
    """Return the day in an address or in the name of a file, or None."""
    for match in _IN_NAME.finditer(name):
        if match["mark"] or len(match[0]) == len("20250204"):
            try:
                day = datetime(int(match["year"]), int(match["month"]), int(match["day"]), tzinfo=UTC)
            except ValueError:
                continue
            if published := _accept_plausible(day, DatePrecision.DAY, now):
                return published
    return None


def _find_month(name: str) -> int | None:
    """Return the number of a month by a name in any language; English names need no other language loaded."""
    name = name.lower()
    return _number_months(("en",)).get(name) or _number_months(_MONTH_LANGUAGES).get(name)


@cache
def _number_months(languages: tuple[str, ...]) -> dict[str, int]:
    """Return the numbers of the months by name, in lower case, without a full stop. Ambiguous names are left out."""
    from babel import Locale  # slow to load

    numbers_by_name: dict[str, set[int]] = {}
    for language in languages:
        for name, number in LANGUAGES[language].extra_months.items():
            numbers_by_name.setdefault(name, set()).add(number)
        months = Locale(language).months
        for use in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in months[use][width].items():
                    numbers_by_name.setdefault(name.lower().rstrip("."), set()).add(number)
    return {name: next(iter(numbers)) for name, numbers in numbers_by_name.items() if len(numbers) == 1}


def _convert_epoch(value: float, now: datetime) -> PublicationDate | None:
    if not value > 0:  # negative, zero or not a number
        return None
    try:
        seconds = value / 1000 if value >= _EPOCH_MILLISECONDS else value
        return _accept_plausible(datetime.fromtimestamp(seconds, UTC), DatePrecision.SECOND, now)
    except (OverflowError, ValueError, OSError):
        return None


def _parse_text(value: str, now: datetime, zone: ZoneInfo) -> PublicationDate | None:
    if value.isdecimal() and len(value) >= 9:
        return _convert_epoch(float(value[:20]), now)
    moment = _parse_formal_date(value) if len(value) <= _LONGEST_DATE else None
    if moment is None:
        written = find_date(value[:_LONGEST_DATE], now, zone)
        return written[0] if written else None
    precision = DatePrecision.DAY if len(value) <= len("2025-02-04") else DatePrecision.SECOND
    if _TO_THE_MINUTE.fullmatch(value):
        precision = DatePrecision.MINUTE
    return _accept_plausible(_convert_to_utc(moment, zone), precision, now)


def _parse_formal_date(value: str) -> datetime | None:
    """Return a date as in ISO 8601 or RFC 5322, or None."""
    with suppress(ValueError):
        return datetime.fromisoformat(value)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return parsedate_to_datetime(value)
    return None


def _convert_match(match: re.Match[str], now: datetime, zone: ZoneInfo) -> PublicationDate | None:
    part = match.groupdict()
    month = int(part["month"]) if part["month"].isdecimal() else _find_month(part["month"])
    if month is None:
        return None
    hour, precision = 0, DatePrecision.DAY
    if part["hour"]:
        precision = DatePrecision.SECOND if part["second"] else DatePrecision.MINUTE
        hour = int(part["hour"])
        if part["half"]:
            hour = hour % 12 + (12 if part["half"].lower().startswith("p") else 0)
    try:
        moment = datetime(  # noqa: DTZ001 - the zone is added below
            int(part["year"]), month, int(part["day"]), hour, int(part["minute"] or 0), int(part["second"] or 0)
        )
    except ValueError:
        return None
    if part["offset"]:
        sign = -1 if part["offset"][0] == "-" else 1
        hours, minutes = int(part["offset"][1:3]), int(part["offset"][-2:])
        moment = (moment - sign * timedelta(hours=hours, minutes=minutes)).replace(tzinfo=UTC)
    elif (part["zone"] or "").lower() in _ZONES:
        moment = (moment - timedelta(hours=_ZONES[part["zone"].lower()])).replace(tzinfo=UTC)
    # A day without an hour is the same day in every zone: a move to UTC could make the day before of it.
    utc = moment.replace(tzinfo=UTC) if precision is DatePrecision.DAY else _convert_to_utc(moment, zone)
    return _accept_plausible(utc, precision, now)


def _convert_to_utc(moment: datetime, zone: ZoneInfo) -> datetime | None:
    if moment.tzinfo is None:
        midnight = moment.hour == moment.minute == moment.second == 0
        moment = moment.replace(tzinfo=UTC if midnight else zone)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _accept_plausible(moment: datetime | None, precision: DatePrecision, now: datetime) -> PublicationDate | None:
    if moment is None or moment.year < _EARLIEST_YEAR or moment > now + _CLOCK_SKEW:
        return None
    return PublicationDate(moment, precision)
