"""The manifests of deploy/k8s as kustomize builds them, once for all workers of a run."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from nija_common.testing.fixtures_infra import common_folder, missing
from nija_common.testing.processes import Unavailable

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/check_manifests.py"
COMBINATIONS = ("dev", "production", "production+strimzi", "production+cpu-scaling", "production+tracing")
Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Rendered:
    """One combination: everything that `kubectl apply -k` would send."""

    name: str
    resources: tuple[Resource, ...]

    def of(self, kind: str) -> dict[str, Resource]:
        """The resources of a kind by name."""
        return {one["metadata"]["name"]: one for one in self.resources if one["kind"] == kind}

    def pods(self) -> dict[str, Resource]:
        """Pod templates by the name of their Deployment or Job."""
        return {name: one["spec"]["template"] for kind in ("Deployment", "Job") for name, one in self.of(kind).items()}

    def config(self) -> dict[str, str]:
        """What the ConfigMap says."""
        (only,) = self.of("ConfigMap").values()
        return dict(only["data"])


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`scripts/check_manifests.py` with these arguments, ended."""
    line = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """The combinations that the tests read, by name."""
    folder = common_folder(tmp_path_factory) / "manifests"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            only = [part for name in COMBINATIONS for part in ("--only", name)]
            done = command("--render", str(folder), *only)
            if "MANIFESTS ARE NOT CHECKED" in done.stderr:
                missing("kustomize", Unavailable(done.stderr.strip()))
            assert done.returncode == 0, done.stderr
            (folder / "done").touch()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        name: Rendered(name, tuple(yaml.load_all((folder / f"{name}.yaml").read_text(), Loader=loader)))
        for name in COMBINATIONS
    }


@pytest.fixture(params=COMBINATIONS)
def rendered(request: pytest.FixtureRequest, built: dict[str, Rendered]) -> Rendered:
    """Each combination in turn."""
    return built[request.param]
