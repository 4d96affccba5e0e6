"""Options that several commands have, alike in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path | None, typer.Option(help="Folder of database, mail and keys (NIJA_DATA_DIR, default .nija).")]
