"""
What a user would write in an afternoon: read files, shingle by regex, MinHash and LSH, one insert and commit an article.

    python -m tests.benchmark.script datasketch|rensa FOLDER DATABASE-URL

Finds copies only. Prints what it found as JSON: [[file, file that it is a copy of], ...].
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

_WORD = re.compile(r"\w+")
_WIDTH = 5


class Base(DeclarativeBase):
    """The one table."""


class Article(Base):
    """An article, and what it is a copy of."""

    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[str]
    title: Mapped[str]
    text: Mapped[str]
    copy_of: Mapped[str | None]


def shingles(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [" ".join(words[i : i + _WIDTH]) for i in range(max(1, len(words) - _WIDTH + 1))]


def with_datasketch() -> tuple[Callable[[list[str]], Any], Any]:
    import xxhash
    from datasketch import MinHash, MinHashLSH

    def minhash(of: list[str]) -> Any:
        return MinHash.bulk([[s.encode() for s in of]], num_perm=128, hashfunc=xxhash.xxh32_intdigest)[0]

    return minhash, MinHashLSH(num_perm=128, params=(25, 5))


def with_rensa() -> tuple[Callable[[list[str]], Any], Any]:
    import rensa

    def minhash(of: list[str]) -> Any:
        made = rensa.RMinHash(num_perm=128, seed=1)
        made.update(of)
        return made

    return minhash, rensa.RMinHashLSH(threshold=0.5, num_perm=128, num_bands=32)


def main(kind: str, folder: str, url: str) -> None:
    minhash, lsh = with_datasketch() if kind == "datasketch" else with_rensa()
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    seen: list[tuple[str, Any]] = []
    copies: list[tuple[str, str]] = []
    with Session(engine) as session:
        for path in sorted(Path(folder).rglob("*.txt")):
            title, _, text = path.read_text(encoding="utf-8").split("\n", 2)
            signature = minhash(shingles(text))
            close = [other for key in lsh.query(signature) if (other := seen[key])[1].jaccard(signature) >= 0.5]
            copy_of = max(close, key=lambda other: other[1].jaccard(signature))[0] if close else None
            if copy_of:
                copies.append((path.name, copy_of))
            lsh.insert(len(seen), signature)
            seen.append((path.name, signature))
            session.add(Article(file=path.name, title=title, text=text, copy_of=copy_of))
            session.commit()
    print(json.dumps(copies))


if __name__ == "__main__":
    main(*sys.argv[1:])
