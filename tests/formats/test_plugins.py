"""The worked example of docs/formats.md, as a package that is installed beside ingestd."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.plugin import install_plugin

FILE = """CLIPPINGS of the week
-----
Night train bakes bread
The baker starts kneading when the train leaves at ten.
-----
A headline without a text
-----
Ferry strikes pier
Forty people were hurt in the fog at Port Ellory.
"""


def test_a_format_of_another_package_is_read_as_the_documentation_says(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/formats.md").read_text(), re.DOTALL)
    points = re.search(
        r"```toml\n.*?\n\[.*?\"ingestd.formats\"\]\n(.*?)```", (ROOT / "docs/formats.md").read_text(), re.DOTALL
    )
    assert code
    assert points
    package = install_plugin(tmp_path, "clippings", code[1], points[1].replace('"', ""))
    (tmp_path / "week.clip").write_text(FILE)
    environment = {
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT)]),
        "INGESTD_INGEST__WORKERS": "1",
        "INGESTD_LOG__LEVEL": "error",
    }

    def ingestd(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "ingestd", *arguments], cwd=tmp_path, env=os.environ | environment,
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip

    assert "2 new articles" in ingestd("ingest", "week.clip")
    assert "a clipping has a headline and a text" in ingestd("show", "file", "week.clip")
    assert "Forty people were hurt" in ingestd("show", "article", "2")
