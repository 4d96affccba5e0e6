"""Files that are there whole or not at all: written beside their place, then moved into it.

For what a user or a cache keeps on the local disk. The platform's own blobs are `blobs.py`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Writes each file whole; none of them is put into its place before all of them are written. Raises OSError.

    What was there before is replaced. A reader sees the old file or the new one, whenever the process ends.
    """
    unfinished = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished") for path in files}
    try:
        for path, data in files.items():
            with unfinished[path].open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, written in unfinished.items():
            written.replace(path)
    finally:
        for written in unfinished.values():
            written.unlink(missing_ok=True)
