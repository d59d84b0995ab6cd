"""Long texts in pieces: what is computed piece by piece takes little memory for a text of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Characters at a time: longer than almost every article, and 18 times as many in compatibility form at worst (U+FDFA).
PIECE_CHARS = 1 << 16


def cut_pieces(text: str, most_chars: int = PIECE_CHARS, marks: Sequence[str] = (" ", "\n")) -> Iterator[str]:
    """
    Yield a text in pieces, one or more, which joined are the text.

    Args:
        text: of any length.
        most_chars: of a piece.
        marks: a piece ends behind the first of these that stands in the second half of the piece, or else anywhere.
    """
    start = 0
    while len(text) - start > most_chars:
        end = start + most_chars
        for mark in marks:
            cut = text.rfind(mark, start + most_chars // 2, end)
            if cut >= 0:
                end = cut + len(mark)
                break
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def cut_lines(text: str, most_chars: int = PIECE_CHARS) -> Iterator[str]:
    """Yield a text in pieces of whole lines, one or more, without the line break between two pieces."""
    start = 0
    while len(text) - start > most_chars:
        end = text.rfind("\n", start, start + most_chars)
        if end < 0 and (end := text.find("\n", start + most_chars)) < 0:
            break
        yield text[start:end]
        start = end + 1
    yield text[start:] if start else text
