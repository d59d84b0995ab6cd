"""
Markdown as plain text, a block a line.

The parser holds hundreds of bytes for every character (estimated: 40 MB for a piece at worst), and tries some forms
again from every character. So a long text is rendered in pieces, and forms without an end are given up after a number
of characters in proportion to the piece.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from ingestd.core.text.pieces import PIECE_CHARS, cut_pieces

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

_BLOCKS = ("paragraph_close", "heading_close", "list_item_close", "blockquote_close", "fence", "code_block", "tr_close")
# Characters read in search of the ends of images and links without an end: so many for a piece, and as often the piece.
# A paragraph of 1,000 characters pays for some 60 brackets that are no link.
_LABEL_CHARS, _LABEL_READINGS = 1 << 14, 16
_EMPTY_CELLS = 1000  # that a table may add to its rows; the parser makes three tokens of each
_LABEL_BUDGET = "ingestd_label_chars"  # key in the environment of the parser


def render_plain(characters: str, *, piece_chars: int = PIECE_CHARS) -> str:
    """Return Markdown as plain text; pieces of `piece_chars` characters are rendered each alone."""
    blocks = (
        block for piece in cut_pieces(characters, piece_chars, ("\n\n", "\n", " ")) for block in _render_piece(piece)
    )
    return "\n\n".join(block for block in blocks if block)


def _render_piece(characters: str) -> list[str]:
    """Return the blocks of a text in Markdown."""
    blocks: list[str] = []
    line: list[str] = []
    for token in _make_parser().parse(characters, {_LABEL_BUDGET: _LABEL_CHARS + _LABEL_READINGS * len(characters)}):
        if token.type == "inline":
            for child in token.children or ():
                if child.type in ("text", "code_inline"):
                    line.append(child.content)
                elif child.type in ("softbreak", "hardbreak"):
                    line.append("\n" if child.type == "hardbreak" else " ")
        elif token.type in ("fence", "code_block"):
            line.append(token.content.strip())
        elif token.type in ("td_close", "th_close"):
            line.append(" ")
        if token.type in _BLOCKS and line:
            blocks.append("".join(line).strip())
            line = []
    if line:
        blocks.append("".join(line).strip())
    return blocks


@cache
def _make_parser() -> MarkdownIt:
    """Return a parser of CommonMark with tables, and with limits on images, links and tables."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": 50}).enable("table")
    parser.inline.ruler.at("image", _parse_image)
    parser.inline.ruler.at("link", _parse_link)
    parser.block.ruler.at("table", _parse_table, {"alt": ["paragraph", "reference"]})
    return parser


def _parse_image(state: StateInline, silent: bool) -> bool:
    """Parse an image within the budget for labels."""
    from markdown_it.rules_inline import image

    return state.src.startswith("![", state.pos) and _spend_label(image, state, silent)


def _parse_link(state: StateInline, silent: bool) -> bool:
    """Parse a link within the budget for labels."""
    from markdown_it.rules_inline import link

    return state.src.startswith("[", state.pos) and _spend_label(link, state, silent)


def _spend_label(parse: Callable[[StateInline, bool], bool], state: StateInline, silent: bool) -> bool:
    """Parse a form with a label; the search for the end of the label, from every form anew, is paid out of a budget."""
    if state.env[_LABEL_BUDGET] < 0:
        return False
    start = state.pos
    found = parse(state, silent)
    state.env[_LABEL_BUDGET] -= (state.pos if found else state.posMax) - start
    return found


def _parse_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table, unless the table has far more cells than characters: each row gets all columns of the header."""
    from markdown_it.rules_block import table

    if not table(state, start, end, True):
        return False
    if silent:
        return True
    columns = state.src.count("|", state.bMarks[start], state.eMarks[start])
    last = next((line for line in range(start + 1, end) if state.isEmpty(line)), end)
    n_characters = state.eMarks[last - 1] - state.bMarks[start]
    if columns * (last - start) > n_characters + _EMPTY_CELLS:
        return False
    return table(state, start, end, silent)
