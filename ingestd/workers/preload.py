"""
What every process that reads files needs, loaded once by the server that they are forked from, and shared by all.

Imported by that server alone: importing it is its work. The first file would wait seconds for it otherwise.
"""

from __future__ import annotations

from ingestd.core.fingerprint import COPY_SCHEME
from ingestd.core.lsh.minhash import get_permutations
from ingestd.core.text.tokens import tokenize_texts
from ingestd.formats import load_plugins
from ingestd.formats.language import detect_language
from ingestd.workers.pool import salience

get_permutations(COPY_SCHEME)
tokenize_texts(["A text, for the tables of characters to be made."])
salience("en")
detect_language("A headline", "A text in some language, for the model to be loaded.")
load_plugins()
