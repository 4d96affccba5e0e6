"""The check of the manifests refuses what a cluster would refuse, or would silently drop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nija_common.testing.fixtures_infra import missing
from nija_common.testing.processes import Unavailable

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/check_manifests.py"
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}], %s}}"
SCALED = (
    "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: a}, spec: {scaleTargetRef: {name: a},"
    " maxReplicaCount: 24, triggers: [{type: prometheus, metadata:"
    " {serverAddress: 'http://a', query: up, threshold: %s}}]}}"
)


def _validated(*files: Path) -> tuple[int, str]:
    line = [sys.executable, str(SCRIPT), "--validate", *map(str, files)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=110)
    if "MANIFESTS ARE NOT CHECKED" in done.stderr:
        missing("kubeconform", Unavailable(done.stderr.strip()))
    return done.returncode, done.stderr


def test_what_is_right_passes_and_every_planted_fault_is_named(tmp_path: Path) -> None:
    right = [SERVICE % "type: ClusterIP", SCALED % "'20'"]
    wrong = {
        "unknown": SERVICE % "typo: ClusterIP",
        "twice": SERVICE % "type: ClusterIP, type: NodePort",
        "number": SCALED % "20",
        "foreign": SCALED % "'20', pollingInterval: 5",
        "kind": "{apiVersion: v1, kind: Servise, metadata: {name: a}}",
    }
    for number, text in enumerate(right):
        (tmp_path / f"right{number}.yaml").write_text(text)
    assert _validated(*tmp_path.glob("right*.yaml")) == (0, "")
    files = []
    for name, text in wrong.items():
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(text)
    status, said = _validated(*files[:-1])
    assert status == 1
    assert all(f"{name}.yaml" in said for name in list(wrong)[:-1]), said
    status, said = _validated(files[-1])
    assert status == 1
    assert "no schema for Servise" in said


def test_without_go_it_says_aloud_that_nothing_was_checked_and_fails_in_ci(tmp_path: Path) -> None:
    copy = tmp_path / "scripts"
    copy.mkdir()
    for name in ("check_manifests.py", "kubernetes_schemas.py"):
        (copy / name).write_text((SCRIPT.parent / name).read_text())
    for ci, status in (("", 0), ("true", 1)):
        done = subprocess.run(
            [sys.executable, str(copy / "check_manifests.py"), "--validate", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": str(tmp_path), "CI": ci},
        )
        assert (done.returncode, done.stdout) == (status, "")
        assert "MANIFESTS ARE NOT CHECKED: no go on PATH" in done.stderr
