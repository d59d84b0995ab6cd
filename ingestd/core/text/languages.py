"""
Every table of words of a language, in one place. To teach a language, add one `Language` to `LANGUAGES`.

Readers of dates, bylines and page lines look at a text before the language is known, so they match the words of all
languages at once: `collect_words` and `join_words` make such a union, and every user compiles the union once.

Words are in lower case. Fields named "pattern" hold regular expressions; all other fields hold plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_HAN = ("\u3400-\u4dbf", "\u4e00-\u9fff", "\uf900-\ufaff")
# After a word for a picture: a credit. Credits are in English in many languages.
_CREDIT = r" ?(?:source|credit|caption|copyright)?(?: ?[:|/©].*|s? (?:by|courtesy of)\b.*|(?<=\w))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The words of one language by which readers recognise dates, names, adverts and other page lines."""

    code: str  # ISO 639-1; "mul" for forms that are the same in all languages

    # Words
    frequency_list: str | None = None  # the code of the list in wordfreq, if another than `code`
    unspaced: tuple[str, ...] = ()  # ranges of characters that are written without spaces between words
    possessive: str = ""  # ending of a name, as in "Foyle's"

    # Dates
    has_months: bool = False  # read the names of months that CLDR lists
    extra_months: Mapping[str, int] = field(default_factory=dict)  # names that CLDR lacks
    weekdays: tuple[str, ...] = ()
    dateline_words: tuple[str, ...] = ()  # words of five letters and more beside a date: published, updated
    ordinal_endings: tuple[str, ...] = ()  # of a day: 4th
    of_patterns: tuple[str, ...] = ()  # between day, month and year: 4 de mayo de 2025
    at_patterns: tuple[str, ...] = ()  # between day and hour: 4 May at 10:30
    year_marks: tuple[str, ...] = ()  # after a year: 2025 г.
    date_units: tuple[str, str, str] | None = None  # characters after year, month and day: 2025年2月4日
    time_zones: Mapping[str, float] = field(default_factory=dict)  # abbreviations, in hours from UTC

    # Bylines
    byline_words: tuple[str, ...] = ()  # before names: By Ann Foyle
    byline_labels: tuple[str, ...] = ()  # before a colon and names: Author: Ann Foyle
    name_particles: tuple[str, ...] = ()  # parts of names in lower case
    conjunctions: tuple[str, ...] = ()  # between the last two names

    # Lines of a page that are not the story. `advert_labels` are removed from the stored text and from comparison.
    advert_labels: tuple[str, ...] = ()  # a whole line
    stray_patterns: tuple[str, ...] = ()  # whole lines that are removed from the stored text of plain files and pages
    ignored_labels: tuple[str, ...] = ()  # whole lines that only comparison leaves out
    ignored_patterns: Mapping[str, str] = field(default_factory=dict)  # the same: first words, and the rest of the line
    picture_words: tuple[str, ...] = ()  # first words of a caption or a credit
    read_verbs: tuple[str, ...] = ()  # first words of a link to another article, followed by one of `also_words`
    also_words: tuple[str, ...] = ()


_LANGUAGES = (
    Language(
        code="en",
        possessive="'s",
        has_months=True,
        extra_months={"sept": 9},
        weekdays=("monday", "tuesday", "wednesday", "thursday", "thurs", "friday", "saturday", "sunday"),
        dateline_words=(
            "first", "published", "publication", "posted", "created", "updated", "modified", "issued",
        ),
        ordinal_endings=("st", "nd", "rd", "th"),
        at_patterns=("at",),
        time_zones={
            "gmt": 0, "utc": 0, "z": 0, "bst": 1, "cet": 1, "cest": 2, "est": -5, "edt": -4, "et": -5,
            "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "ist": 5.5,
        },
        byline_words=("by",),
        byline_labels=("by", "author"),
        conjunctions=("and",),
        advert_labels=("advertisement",),
        stray_patterns=(
            "advert", "story continues below advertisement", "article continues after advertisement",
            "skip advertisement", "read more", "read also", "share this(?: article| story)?", "share",
            "click to share.*", "copy link", "save", "sign up (?:for|to) (?:our|the) .{0,60}newsletter.*",
        ),
        ignored_labels=("advertisements", "advertorial", "newsletter", "newsletters", "comments", "loading"),
        ignored_patterns={
            "sponsored": r"(?: content)?",
            "read see watch listen also find learn": (
                r" (?:more|also|next|on|now|read|out more|the full story)\b.*|[:|>»].*"
            ),
            "related recommended trending popular": (
                r"(?: (?:articles?|stories|topics?|content|links?|now|for you))?(?::.*)?"
            ),
            "you more": r" (?:(?:may|might) (?:also )?(?:like|be interested in)|(?:on|from|about) this)\b.*",
            "share tweet email e-mail print save bookmark": r"(?: (?:this|on|via|with|it)\b.*)?",
            "follow join like": r" (?:us|@\w+|\w+ on)\b.*",
            "sign subscribe log register": r"(?: (?:up|now|here|today|for|to|with|in)\b.*)?",
            "get receive": r" (?:our|the|all the)\b.*\b(?:newsletters?|inbox|headlines)\b.*",
            "click tap skip": r" (?:here|to (?:main )?content)\b.*",
            "all this": (
                r" (?:rights reserved|(?:material|article|story) may not be (?:published|reproduced|copied))\b.*"
            ),
            "additional further reporting writing editing compiled edited written": (
                r" (?:(?:reporting|writing) )?by\b.*"
            ),
            "published updated posted modified": r"(?: on| at)?:? ?.{0,40}\d.{0,20}",
            "first last": r" (?:published|updated|posted|modified)(?: on| at)?:? ?.{0,40}\d.{0,20}",
            # All names, and no end: "By Ann Foyle and Ole Strand, in Brannoc".
            "by": r"(?-i: [A-Z][^.!?:]{1,80})",
        },
        picture_words=("image", "photo", "picture", "pic", "video", "media", "file"),
    ),
    Language(
        code="de",
        has_months=True,
        weekdays=("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"),
        dateline_words=("veröffentlicht", "erstellt", "aktualisiert", "stand"),
        at_patterns=("um",),
        byline_words=("von",),
        byline_labels=("text", "autor"),
        name_particles=("von", "van", "der", "den"),
        conjunctions=("und",),
        advert_labels=("anzeige", "werbung"),
        stray_patterns=("weiterlesen",),
        ignored_patterns={"lesen lies mehr": r" (?:sie (?:auch|mehr)|auch|mehr|zum thema)\b.*"},
        picture_words=("foto", "bild"),
    ),
    Language(
        code="fr",
        has_months=True,
        weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
        dateline_words=("publié",),
        ordinal_endings=("er",),
        at_patterns=("à",),
        byline_words=("par",),
        byline_labels=("auteur",),
        name_particles=("de", "la"),
        conjunctions=("et",),
        advert_labels=("publicité",),
        stray_patterns=("lire aussi",),
        ignored_patterns={"à lire": r" (?:lire )?(?:aussi|également|plus)\b.*"},
    ),
    Language(
        code="es",
        has_months=True,
        weekdays=("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
        dateline_words=("publicado", "actualizado"),
        ordinal_endings=("º", "ª"),
        of_patterns=("de", "del"),
        at_patterns=("a las",),
        byline_words=("por",),
        byline_labels=("autor",),
        name_particles=("de", "la", "el"),
        conjunctions=("y",),
        advert_labels=("publicidad",),
        stray_patterns=("leer más",),
        picture_words=("imagen",),
        read_verbs=("lea", "leer", "lee"),
        also_words=("también", "más"),
    ),
    Language(
        code="it",
        has_months=True,
        weekdays=("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
        dateline_words=("pubblicato", "aggiornato"),
        at_patterns=("alle",),
        byline_words=("di",),
        byline_labels=("autore",),
        name_particles=("di", "da"),
        conjunctions=("e",),
        advert_labels=("pubblicità",),
        stray_patterns=("leggi anche",),
        read_verbs=("leggi",),
        also_words=("anche",),
    ),
    Language(
        code="pt",
        has_months=True,
        dateline_words=("publicado", "atualizado"),
        of_patterns=("de",),
        at_patterns=("às",),
        byline_words=("por",),
        byline_labels=("autor",),
        name_particles=("da", "de"),
        conjunctions=("e",),
        ignored_labels=("publicidade",),
        read_verbs=("leia",),
        also_words=("também", "mais"),
    ),
    Language(
        code="nl",
        has_months=True,
        dateline_words=("gepubliceerd",),
        byline_words=("door",),
        byline_labels=("tekst", "auteur"),
        name_particles=("van", "der", "den", "de"),
        read_verbs=("lees",),
        also_words=("ook", "meer"),
    ),
    Language(code="sv", has_months=True, at_patterns=(r"kl\.?",), byline_words=("av",), byline_labels=("text",)),
    Language(code="da", has_months=True, at_patterns=(r"kl\.?",), byline_labels=("tekst",)),
    Language(code="nb", has_months=True, at_patterns=(r"kl\.?",), byline_words=("av",), byline_labels=("tekst",)),
    Language(code="no", frequency_list="nb"),
    Language(code="nn", frequency_list="nb"),
    Language(code="pl", has_months=True, dateline_words=("opublikowano",), byline_labels=("tekst", "autor")),
    Language(
        code="ru",
        has_months=True,
        dateline_words=("опубликовано", "обновлено"),
        at_patterns=("в",),
        year_marks=("г",),
        byline_labels=("автор",),
        conjunctions=("и",),
        advert_labels=("реклама",),
        stray_patterns=("читайте также",),
        read_verbs=("читайте",),
        also_words=("также",),
    ),
    Language(code="uk", has_months=True, at_patterns=("о",), year_marks=("р",)),
    Language(
        code="ar",
        has_months=True,
        dateline_words=("تحديث",),
        byline_labels=("بقلم",),
        name_particles=("bin", "al", "el"),  # as other languages write Arabic names
    ),
    Language(code="ca", has_months=True, of_patterns=("de", "del", "d['’]")),
    Language(code="fi", has_months=True),
    Language(code="cs", has_months=True),
    Language(code="sk", has_months=True),
    Language(code="hu", has_months=True),
    Language(code="ro", has_months=True),
    Language(code="bg", has_months=True),
    Language(code="el", has_months=True),
    Language(code="tr", has_months=True),
    Language(code="fa", has_months=True),
    Language(code="he", has_months=True),
    Language(code="id", has_months=True),
    Language(code="vi", has_months=True),
    # No months: the name of a month in Croatian is the name of another month in Polish ("listopad").
    Language(code="hr", frequency_list="sh"),
    Language(code="sr", frequency_list="sh"),
    Language(code="bs", frequency_list="sh"),
    Language(code="tl", frequency_list="fil"),
    Language(code="ja", unspaced=("\u3040-\u30ff", *_HAN), date_units=("年", "月", "日")),
    Language(code="zh", unspaced=_HAN, date_units=("年", "月", "日")),
    Language(code="ko", date_units=("년", "월", "일")),
    Language(code="th", unspaced=("\u0e00-\u0e7f",)),
    Language(code="lo", unspaced=("\u0e80-\u0eff",)),
    Language(code="my", unspaced=("\u1000-\u109f",)),
    Language(code="km", unspaced=("\u1780-\u17ff",)),
    Language(
        code="mul",
        conjunctions=("&",),
        stray_patterns=("getty images",),
        ignored_labels=("facebook", "twitter", "whatsapp", "telegram", "linkedin", "instagram", "reddit"),
        ignored_patterns={
            "getty shutterstock istock": r"(?: images)?(?:\W.*)?",
            "© copyright": r"(?:\W.*)?",
            "c": r"\) ?(?:copyright|\d{4})\b.*",
        },
    ),
)  # fmt: skip
LANGUAGES: Mapping[str, Language] = {language.code: language for language in _LANGUAGES}


def collect_words(name: str, languages: Iterable[Language] = _LANGUAGES) -> tuple[str, ...]:
    """Return the entries of a field that holds words, of all languages, in the order of the languages, each once."""
    return tuple(dict.fromkeys(word for language in languages for word in getattr(language, name)))


def join_words(name: str, languages: Iterable[Language] = _LANGUAGES) -> str:
    """Return a regular expression without groups that matches every entry of a field."""
    entries = collect_words(name, languages)
    return "|".join(entries if name.endswith("_patterns") else map(re.escape, entries))


def list_month_languages(languages: Iterable[Language] = _LANGUAGES) -> tuple[str, ...]:
    """Return the codes of the languages whose names of months are read."""
    return tuple(language.code for language in languages if language.has_months)


def map_ignored_lines(languages: Iterable[Language] = _LANGUAGES) -> dict[str, str]:
    """
    Return the forms of lines that comparison leaves out.

    Returns:
        By the first word of a line: a regular expression for the rest of the line.
    """
    languages = tuple(languages)
    forms = dict.fromkeys((*collect_words("advert_labels", languages), *collect_words("ignored_labels", languages)), "")
    forms |= dict.fromkeys(collect_words("picture_words", languages), _CREDIT)
    also = rf" (?:{join_words('also_words', languages)})\b.*"
    forms |= dict.fromkeys(collect_words("read_verbs", languages), also)
    for language in languages:
        for words, rest in language.ignored_patterns.items():
            forms |= dict.fromkeys(words.split(), rest)
    return forms


def find_frequency_list(code: str | None) -> str | None:
    """Return the code under which wordfreq lists a language."""
    language = LANGUAGES.get(code or "")
    return language.frequency_list or code if language else code


# The characters of all scripts without spaces, as the inside of a character class.
UNSPACED_CLASS = "".join(collect_words("unspaced"))
