"""`nija admin rotate-keys`: a change of the key-encryption key, beside a running platform.

Where the settings name the key, the operator has put the new one there, and the old one beside it. The embedded
platform's own key is in its data folder: a new one is made here, and the running platform takes it up by itself.
"""

from __future__ import annotations

from pathlib import Path

from nija_cli.environment import platform_settings, read_environment
from nija_cli.maintenance import opened
from nija_cli.services import SERVICES
from nija_common.errors import SettingsError
from nija_common.runtime.key_encryption import key_file_of, sealer_of
from nija_common.runtime.rotation import rewrap
from nija_common.security.sealing import Sealer, Unsealable


async def rotate_keys(data_dir: Path | None) -> None:
    """Runs until nothing is left under another key; broken off, it goes on where it was. Raises SettingsError."""
    settings = platform_settings(read_environment(), data_dir=data_dir)
    embedded = settings.store == "sqlite"
    sealer = sealer_of(settings, may_make=embedded)
    changed = await _rewrap_all(data_dir, sealer)
    file = key_file_of(settings) if embedded else None
    if file is not None and not changed:
        file.add()
        changed = await _rewrap_all(data_dir, sealer)
    print(f"documents put under the key {sealer.key_id}: {changed}; none is left under another")
    where = f"the other lines of {file.path}" if file is not None else "NIJA_KEY_ENCRYPTION_KEYS_OLD"
    print(f"a mail that waits on the bus may need the old key for 7 days more; after that, remove {where}")


async def _rewrap_all(data_dir: Path | None, sealer: Sealer) -> int:
    """Again until a look finds nothing: somebody may have sealed with the old key a moment before it changed."""
    total = 0
    while True:
        changed = 0
        for service in SERVICES:
            if service.sealed:
                async with opened(service.name, data_dir) as (running, _):
                    try:
                        changed += await rewrap(service.sealed, running.storage, running.work, sealer)
                    except Unsealable as error:
                        raise SettingsError(
                            f"a secret of {service.name} is under a key that is not known here ({error}); add that key"
                            " to NIJA_KEY_ENCRYPTION_KEYS_OLD or to the key file"
                        ) from None
        total += changed
        if not changed:
            return total
