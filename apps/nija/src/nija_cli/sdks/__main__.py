"""Writes the generated parts of the SDKs, from the project's root: `python -m nija_cli.sdks`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nija_cli.api_document import api_document
from nija_cli.sdks import python, typescript
from nija_cli.sdks.shape import shape_of

PYTHON = Path("sdks/python/src/nija_sdk")
TYPESCRIPT = Path("sdks/typescript/src")


def files() -> dict[Path, str]:
    """Every generated file below the project's root, formatted as the project is."""
    shape = shape_of(api_document())
    return {
        PYTHON / "models.py": formatted(python.models(shape)),
        PYTHON / "operations.py": formatted(python.operations(shape)),
        TYPESCRIPT / "generated.ts": typescript.generated(shape),
    }


def formatted(text: str) -> str:
    """Python text as ruff lays it out."""
    command = [str(Path(sys.executable).with_name("ruff")), "format", "--stdin-filename", "generated.py", "-"]
    sorted_ = [*command[:1], "check", "--select", "I,F401", "--fix", "--quiet", "--stdin-filename", "generated.py", "-"]
    for step in (sorted_, command):
        text = subprocess.run(step, input=text, capture_output=True, text=True, check=True).stdout
    return text


def write(root: Path) -> None:
    """Writes them below `root`."""
    for path, text in files().items():
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
