"""
A corpus of any size to measure on: articles whose words are as frequent as in real news, with known copies and events.

Every event has its own names and rare words; its reports share those and no sentence. A copy is a report under another
headline, cut and with some words changed. Seeded: the same arguments give the same corpus.

    python -m tests.support.made_corpus 10000 OUT            a folder of text files
    python -m tests.support.made_corpus 10000 OUT.jsonl      one file of records
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import wordfreq

COMMON_WORDS = 30_000
SYLLABLES = "ba ko ri ma ten sul vor lin da pe gra no ti shu mar el os wen ka dor im fa zo hel ru".split()
REPORTS_AN_EVENT = 2.5  # on average; most events have one report, some have a dozen
COPIES = 0.15  # of all articles
A_DAY = 2_000  # articles


@dataclass(frozen=True, slots=True)
class Made:
    """An article, and what is known of it."""

    id: str
    title: str
    text: str
    outlet: str
    published: datetime
    event: str
    copy_of: str | None


def articles(n: int, seed: int = 1, words: int = 400) -> Iterator[Made]:
    """Yield n articles in the order of their publication, of about so many words."""
    rng = random.Random(seed)
    vocabulary = [w for w in wordfreq.top_n_list("en", COMMON_WORDS) if w.isalpha()]
    weights = [wordfreq.word_frequency(w, "en") for w in vocabulary]
    rare = vocabulary[5_000:]
    open_events: list[tuple[str, list[str]]] = []
    recent: list[Made] = []
    for number in range(n):
        published = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number / A_DAY)
        outlet = f"outlet-{rng.randrange(200)}.example"
        if recent and rng.random() < COPIES:
            made = _copy(rng, rng.choice(recent), number, outlet, published)
        else:
            if not open_events or rng.random() < 1 / REPORTS_AN_EVENT:
                names = ["".join(rng.choices(SYLLABLES, k=3)).title() for _ in range(6)]
                open_events.append((f"event-{number}", names + rng.sample(rare, 12)))
            event, terms = open_events[int(len(open_events) * (1 - rng.random() ** 2 * 0.9999)) - 1]
            made = _report(rng, number, event, terms, vocabulary, weights, outlet, published, words)
            recent.append(made)
        del open_events[:-500], recent[:-2_000]
        yield made


def _report(
    rng: random.Random, number: int, event: str, terms: list[str], vocabulary: list[str], weights: list[float],
    outlet: str, published: datetime, words: int,
) -> Made:  # fmt: skip
    length = max(60, int(rng.gauss(words, words / 3)))
    body = rng.choices(vocabulary, weights, k=length)
    for term in rng.sample(terms, 14):
        for _ in range(rng.randint(1, 4)):
            body[int(length * rng.random() ** 1.5)] = term
    title = " ".join(rng.sample(terms, 5) + rng.choices(vocabulary, weights, k=4)).capitalize()
    sentences, start, typeset = [], 0, rng.random() < 0.5
    while start < length:
        stop = start + rng.randint(8, 30)
        sentence = " ".join(body[start:stop]).capitalize() + "."
        # Half of the articles have quotes, dashes and apostrophes as printers set them.
        sentences.append(f"“{sentence}” — it’s so" if typeset and rng.random() < 0.2 else sentence)
        start = stop
    paragraphs = [" ".join(sentences[i : i + 2]) for i in range(0, len(sentences), 2)]
    return Made(f"a{number}", title, "\n\n".join(paragraphs), outlet, published, event, None)


def _copy(rng: random.Random, of: Made, number: int, outlet: str, published: datetime) -> Made:
    words = of.text.split(" ")
    kept = words[: int(len(words) * rng.uniform(0.7, 1.0))]
    for _ in range(len(kept) // 50):
        kept[rng.randrange(len(kept))] = rng.choice(words)
    title = f"{' '.join(of.title.split()[:4])} {number}"
    return Made(f"a{number}", title, " ".join(kept), outlet, published, of.event, of.copy_of or of.id)


def write(made: Iterator[Made], out: Path) -> None:
    """Write a folder of text files, or one JSONL file."""
    if out.suffix == ".jsonl":
        with out.open("w", encoding="utf-8") as file:
            for a in made:
                record = {
                    "id": a.id,
                    "title": a.title,
                    "text": a.text,
                    "outlet": a.outlet,
                    "published": a.published.isoformat(),
                }
                file.write(json.dumps(record) + "\n")
        return
    for i, a in enumerate(made):
        folder = out / f"{i // 1000:04}"
        folder.mkdir(parents=True, exist_ok=True)
        dateline = f"Published {a.published:%Y-%m-%d %H:%M}"
        (folder / f"{a.id}.txt").write_text(f"{a.title}\n{dateline}\n{a.text}\n", encoding="utf-8")


def main() -> None:
    """Write a corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    write(articles(arguments.n, arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
