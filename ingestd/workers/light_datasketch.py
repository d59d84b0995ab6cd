"""
Import datasketch without `scipy.integrate`, which takes several times as long to load as all the rest.

datasketch integrates when its own index chooses bands for a threshold, which ingestd never asks. The import leaves
nothing behind: should anyone ask for that index, the real function is loaded then. docs/decisions.md has the figures;
tests run this with the lowest and with the pinned versions.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

_INTEGRATE = "scipy.integrate"


def import_datasketch() -> None:
    """Load datasketch, with a function that loads `scipy.integrate.quad` when called in place of the real one."""
    if _INTEGRATE in sys.modules or "datasketch" in sys.modules:
        import_module("datasketch")
        return
    stand_in = ModuleType(_INTEGRATE)
    vars(stand_in)["quad"] = lambda *args, **kwargs: import_module(_INTEGRATE).quad(*args, **kwargs)
    sys.modules[_INTEGRATE] = stand_in
    try:
        import_module("datasketch")
    finally:
        del sys.modules[_INTEGRATE]
