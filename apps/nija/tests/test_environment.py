"""Settings are known without the services, and the table that makes it so says what the manifests say."""

from __future__ import annotations

import subprocess
import sys

from nija_cli.environment import part_served_as, served_names, settings_of
from nija_cli.services import SERVICES


def test_every_name_that_is_served_is_in_the_table_with_its_settings() -> None:
    manifests = {s.served_as.get(role, s.name): s.settings for s in SERVICES for role in s.roles}
    assert {name: settings_of(name) for name in served_names()} == manifests
    for name in served_names():
        assert part_served_as(name, {}).roles


def test_a_gateway_imports_neither_another_service_nor_a_web_framework() -> None:
    """The memory of a worker is what it imports."""
    code = (
        "import sys; from nija_cli.environment import part_served_as; import nija_cli.serve; part_served_as('gateway', {});"
        "print(sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("fastapi", "numpy", "stripe", "ccxt", "pymongo", "aiokafka", "nija_auth", "nija_notifier"):
        assert f"'{name}'" not in loaded
    assert "'nija_gateway'" in loaded
