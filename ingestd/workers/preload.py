"""
Code and tables for every reading process, loaded once by the server and shared by all processes.

Imported by the server alone, for the effects of the import. The first file would wait for seconds otherwise.
"""

from __future__ import annotations

import ingestd.workers.pool  # noqa: F401 - loaded to be shared
from ingestd.core.features.copy_feature import COPY_SCHEME
from ingestd.core.lsh.minhash import get_permutations
from ingestd.core.text.tokens import tokenize_texts
from ingestd.formats import load_plugins
from ingestd.formats.language import detect_language
from ingestd.workers.forkserver import ignore_group_signals
from ingestd.workers.light_datasketch import import_datasketch
from ingestd.workers.word_frequencies import load_term_weighter

ignore_group_signals()
import_datasketch()
get_permutations(COPY_SCHEME)
tokenize_texts(["A text, for the tables of characters to be made."])
load_term_weighter("en")
detect_language("A headline", "A text in some language, for the model to be loaded.")
load_plugins()
