"""Builds every combination of deploy/k8s with kustomize and validates all of them strictly with kubeconform.

    python scripts/check_manifests.py               build and validate (part of `make check`)
    python scripts/check_manifests.py --render DIR  build only, a file for each combination in DIR (--only NAME chooses)
    python scripts/check_manifests.py --validate F  validate only, these files
    python scripts/check_manifests.py --tools       make ready what the tests need, nothing else

A combination is the base, an overlay as it is, an overlay without components, or an overlay with one component more, which
takes the place of those that it cannot stand beside. Validated against the oldest Kubernetes that the manifests support and
the newest that schemas are known for. Both tools are built by Go once, pinned, into .tools; without Go nothing is checked,
which is said aloud, and with CI set that is a failure.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from kubernetes_schemas import NoSchema, write

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "deploy/k8s"
TOOLS = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
}
KUBERNETES = ("1.30.0", "1.37.0")
"""1.30 is the first that knows everything used here (a preStop that sleeps, matchLabelKeys, AlwaysAllow)."""
INSTEAD = ({"strimzi", "external-kafka"}, {"keda", "cpu-scaling"})
"""Components of which an overlay has one."""


class Unavailable(Exception):
    """A tool cannot be had here; the text says why."""


def tool(name: str) -> Path:
    """The pinned program, built by Go if it is not there yet. Raises Unavailable."""
    module = TOOLS[name]
    folder = ROOT / ".tools" / name / module.rpartition("@")[2]
    program = folder / name
    if program.exists():
        return program
    if shutil.which("go") is None:
        raise Unavailable(f"no go on PATH to build {name} with")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            sys.stderr.write(f"building {module} (half a minute, once)\n")
            draft = folder / "draft"
            environment = {**os.environ, "GOBIN": str(draft), "GOFLAGS": "-mod=mod -buildvcs=false"}
            done = subprocess.run(
                ["go", "install", module], capture_output=True, text=True, check=False, timeout=900, env=environment
            )
            if done.returncode != 0:
                raise Unavailable(f"Go could not build {module}: {(done.stdout + done.stderr)[-2000:]}")
            (draft / name).replace(program)
            draft.rmdir()
    return program


def combinations(manifests: Path) -> Iterator[tuple[str, Path, list[str] | None]]:
    """(name, folder below `manifests`, its components; None leaves them as they are) of each combination."""
    yield "base", Path("base"), None
    known = sorted(folder.name for folder in (manifests / "components").iterdir() if folder.is_dir())
    for overlay in sorted((manifests / "overlays").iterdir()):
        where = overlay.relative_to(manifests)
        has = [Path(one).name for one in _kustomization(overlay).get("components", [])]
        yield overlay.name, where, None
        yield f"{overlay.name}.bare", where, []
        for component in known:
            if component not in has:
                rivals = {name for group in INSTEAD if component in group for name in group}
                yield f"{overlay.name}+{component}", where, [*(name for name in has if name not in rivals), component]


def _kustomization(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return document


def build(name: str, where: Path, components: Sequence[str] | None, target: Path) -> str | None:
    """Writes the combination to `target`/<name>.yaml; what went wrong, in kustomize's words."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = MANIFESTS / where
        if components is not None:
            copy = Path(scratch) / "k8s"
            shutil.copytree(MANIFESTS, copy)
            folder = copy / where
            document = _kustomization(folder)
            document["components"] = [f"../../components/{one}" for one in components]
            (folder / "kustomization.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        command = [str(tool("kustomize")), "build", str(folder), "-o", str(target / f"{name}.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = done.stderr.strip()
    # A warning is about something that a later version refuses.
    return f"{name}: {said}" if done.returncode != 0 or said else None


def render(target: Path, only: Collection[str] = ()) -> list[str]:
    """Builds every combination, or those named, into `target`; what went wrong."""
    target.mkdir(parents=True, exist_ok=True)
    tool("kustomize")
    chosen = [one for one in combinations(MANIFESTS) if not only or one[0] in only]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda one: build(*one, target), chosen)
        return [reason for reason in found if reason is not None]


def _kinds(rendered: Sequence[Path]) -> set[tuple[str, str]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents: list[Mapping[str, Any]] = [
        one for file in rendered for one in yaml.load_all(file.read_text(), Loader=loader)
    ]
    return {(one["apiVersion"], one["kind"]) for one in documents}


def validate(rendered: Sequence[Path], version: str, scratch: Path) -> str:
    """Kubeconform's complaints, empty if there are none. Raises NoSchema."""
    location = write(scratch / version, version, _kinds(rendered), MANIFESTS / "schemas")
    command = [str(tool("kubeconform")), "-strict", "-kubernetes-version", version, "-schema-location", location]
    done = subprocess.run([*command, *map(str, rendered)], capture_output=True, text=True, check=False, timeout=300)
    said = (done.stdout + done.stderr).strip()
    return said or ("kubeconform failed without a word" if done.returncode else "")


def complaints(rendered: Sequence[Path]) -> list[str]:
    """What each version of Kubernetes has against these files."""
    tool("kubeconform")
    found: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for version in KUBERNETES:
            try:
                said = validate(rendered, version, Path(scratch))
            except NoSchema as error:
                said = str(error)
            if said:
                found.append(f"Kubernetes {version}:\n{said}")
    return found


def check() -> int:
    """The status of the command."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "rendered"
        faults = render(target)
        rendered = sorted(target.glob("*.yaml"))
        faults += complaints(rendered)
    sys.stderr.writelines(fault + "\n" for fault in faults)
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"manifests: {len(rendered)} combinations, Kubernetes {' and '.join(KUBERNETES)}:"
        f" {len(faults) or 'no'} complaints ({seconds:.1f} s)\n"
    )
    return 1 if faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 good (or skipped for want of Go, outside CI), 1 not."""
    parser = argparse.ArgumentParser(description="Builds and validates deploy/k8s.")
    parser.add_argument("--render", type=Path, metavar="DIR", help="only build, into this folder")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="with --render: these combinations")
    parser.add_argument("--validate", type=Path, nargs="+", metavar="FILE", help="only validate, these files")
    parser.add_argument(
        "--tools", action="store_true", help="only build kustomize and kubeconform where they are missing"
    )
    options = parser.parse_args(arguments)
    try:
        if options.tools:
            for name in TOOLS:
                tool(name)
            return 0
        if options.validate is not None:
            faults = complaints(options.validate)
        elif options.render is not None:
            faults = render(options.render, options.only)
        else:
            return check()
        sys.stderr.writelines(fault + "\n" for fault in faults)
        return 1 if faults else 0
    except Unavailable as reason:
        sys.stderr.write(f"MANIFESTS ARE NOT CHECKED: {reason}\n")
        return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
