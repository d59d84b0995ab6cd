"""Dates of publication, as records and datelines write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from zoneinfo import ZoneInfo

from ingestd.core.article import DatePrecision

_EARLIEST = 1800  # before it no newspaper of today's kind was written: the date is a mistake
_CLOCK_SKEW = timedelta(days=1)  # a dateline may be in a zone that is ahead of ours
# Languages whose names of months are known. A name that means another month elsewhere (Croatian "listopad") is not.
_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "nb", "fi", "pl", "cs", "sk", "hu", "ro", "ru",
              "uk", "bg", "el", "tr", "ar", "fa", "he", "id", "vi", "ca")  # fmt: skip
# Zones that English datelines abbreviate, in hours from UTC.
_ZONES = {"gmt": 0, "utc": 0, "z": 0, "bst": 1, "cet": 1, "cest": 2, "est": -5, "edt": -4, "et": -5,
          "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "ist": 5.5}  # fmt: skip
_MONTH = r"(?P<month>[^\W\d_]{3,14})\.?"
_OF = r"(?:(?:de|del|d['’])\s*)?"
_DAY_MONTH_YEAR = (
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er|º|ª)?\s+{_OF}{_MONTH},?\s+{_OF}(?P<year>\d{{4}})(?:\s*(?:г|р)\.)?"
)
_MONTH_DAY_YEAR = rf"{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})"
_ISO = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
_DOTTED = r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})"
_EASTERN = r"(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일]"
_TIME = (
    r"(?:,?\s*(?:at|um|à|alle|a las|às|kl\.?|в|о|T|-|–|\||·)?\s*"
    r"(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?:\(?(?P<zone>[A-Za-z]{1,4})\)?(?![A-Za-z])|(?P<offset>[+-]\d{2}:?\d{2}))?)?"
)
_WRITTEN = [
    re.compile(rf"(?<!\d){form}{_TIME}", re.IGNORECASE)
    for form in (_DAY_MONTH_YEAR, _MONTH_DAY_YEAR, _ISO, _DOTTED, _EASTERN)
]
_YEAR = re.compile(r"\d{4}")
# A date in an address or the name of a file: 2025/02/04, 2025-02-04, 20250204.
_IN_NAME = re.compile(
    r"(?<!\d)(?P<year>(?:18|19|20)\d{2})(?P<mark>[-_/.]?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d)"
)
_TO_THE_MINUTE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?:Z|\s?[+-]\d{2}:?\d{2})?")
_EPOCH_MILLISECONDS = 1e11  # as seconds this would be the year 5138


@dataclass(frozen=True, slots=True)
class Published:
    """A date of publication and how precisely it was given."""

    at: datetime  # UTC
    precision: DatePrecision


def from_value(value: object, now: datetime, zone: ZoneInfo) -> Published | None:
    """Return the date that a field of a record holds; None where it holds none that can be true."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return _from_epoch(value, now)
    if isinstance(value, date):  # YAML and TOML have dates of their own
        value = value.isoformat()
    if isinstance(value, dict):  # {"$date": ...} of MongoDB exports
        return from_value(next(iter(value.values()), None), now, zone)
    return _from_string(str(value).strip(), now, zone)


def from_text(text: str, now: datetime, zone: ZoneInfo) -> tuple[Published, tuple[int, int]] | None:
    """Return the first date written out in a text and where it stands, or None."""
    if not _YEAR.search(text):
        return None
    found = sorted(
        (match for pattern in _WRITTEN for match in pattern.finditer(text)), key=lambda m: (m.start(), -m.end())
    )
    for match in found:
        published = _from_match(match, now, zone)
        if published:
            return published, match.span()
    return None


def from_name(name: str, now: datetime) -> Published | None:
    """Return the day that an address or the name of a file holds, or None."""
    for found in _IN_NAME.finditer(name):
        if found["mark"] or len(found[0]) == len("20250204"):
            try:
                day = datetime(int(found["year"]), int(found["month"]), int(found["day"]), tzinfo=UTC)
            except ValueError:
                continue
            if published := _plausible(day, DatePrecision.DAY, now):
                return published
    return None


def _month(name: str) -> int | None:
    """Return the number of a month by its name in any language; English ones are known without reading all others."""
    name = name.lower()
    return _months(("en",)).get(name) or _months(_LANGUAGES).get(name)


@cache
def _months(languages: tuple[str, ...]) -> dict[str, int]:
    """Return the number of every month by its names, in lower case and without a full stop."""
    from babel import Locale  # slow to load

    meant: dict[str, set[int]] = {"sept": {9}}
    for language in languages:
        months = Locale(language).months
        for use in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in months[use][width].items():
                    meant.setdefault(name.lower().rstrip("."), set()).add(number)
    return {name: next(iter(numbers)) for name, numbers in meant.items() if len(numbers) == 1}


def _from_epoch(value: float, now: datetime) -> Published | None:
    try:
        seconds = value / 1000 if abs(value) >= _EPOCH_MILLISECONDS else value
        return _plausible(datetime.fromtimestamp(seconds, UTC), DatePrecision.SECOND, now) if value > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _from_string(value: str, now: datetime, zone: ZoneInfo) -> Published | None:
    if value.isdecimal() and len(value) >= 9:
        return _from_epoch(float(value[:20]), now)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            found = from_text(value[:200], now, zone)
            return found[0] if found else None
    precision = DatePrecision.DAY if len(value) <= len("2025-02-04") else DatePrecision.SECOND
    if _TO_THE_MINUTE.fullmatch(value):
        precision = DatePrecision.MINUTE
    return _plausible(_in_utc(moment, zone), precision, now)


def _from_match(match: re.Match[str], now: datetime, zone: ZoneInfo) -> Published | None:
    part = match.groupdict()
    month = int(part["month"]) if part["month"].isdecimal() else _month(part["month"])
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
    # A day without an hour is that day wherever it was: moving it to UTC could make it the day before.
    utc = moment.replace(tzinfo=UTC) if precision is DatePrecision.DAY else _in_utc(moment, zone)
    return _plausible(utc, precision, now)


def _in_utc(moment: datetime, zone: ZoneInfo) -> datetime | None:
    if moment.tzinfo is None:
        midnight = moment.hour == moment.minute == moment.second == 0
        moment = moment.replace(tzinfo=UTC if midnight else zone)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _plausible(moment: datetime | None, precision: DatePrecision, now: datetime) -> Published | None:
    if moment is None or moment.year < _EARLIEST or moment > now + _CLOCK_SKEW:
        return None
    return Published(moment, precision)
