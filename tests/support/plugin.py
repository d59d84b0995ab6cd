"""A package with a format of its own, as a package manager would install it."""

from __future__ import annotations

from pathlib import Path


def install_plugin(folder: Path, name: str, code: str, entry_point: str) -> Path:
    """
    Write a package that brings a format.

    Args:
        folder: where to write the package.
        name: the name of the package and of its only module.
        code: the source of the module.
        entry_point: the line in the group `ingestd.formats`, such as `clippings = clippings:FORMAT`.

    Returns:
        The folder that belongs on `sys.path`.
    """
    package = folder / "package"
    information = package / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (package / f"{name}.py").write_text(code)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[ingestd.formats]\n{entry_point}\n")
    return package
