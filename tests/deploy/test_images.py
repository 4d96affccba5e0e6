"""The Dockerfile: what must hold of it, and, with NIJA_TEST_LONG=1 where Docker runs, that its images do what they are for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import wait_for

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def instructions() -> list[tuple[str, str]]:
    """Instruction and its text, comments and line breaks taken out."""
    lines = re.sub(r"(?m)^#.*\n", "", DOCKERFILE).replace("\\\n", " ").splitlines()
    return [(name, text.strip()) for name, _, text in (line.partition(" ") for line in lines if line.strip())]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, by its name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, text in instructions():
        if name == "FROM":
            found[text.split(" AS ")[1]] = [(name, text)]
        elif found:
            found[list(found)[-1]].append((name, text))
    return found


def test_the_images_run_as_nobody_in_particular() -> None:
    users = [text for name, text in stages()["platform"] if name == "USER"]
    assert users == ["10001:10001"]
    assert not [text for name, text in stages()["embedded"] if name == "USER"]


def test_nothing_that_runs_needs_a_shell() -> None:
    for stage in ("platform", "embedded"):
        for name, text in stages()[stage]:
            if name in ("RUN", "ENTRYPOINT", "CMD", "HEALTHCHECK"):
                form = text.partition("CMD ")[2] if name == "HEALTHCHECK" else text
                assert isinstance(json.loads(form), list), f"{stage}: {name} is not in exec form"
    (check,) = (text for name, text in stages()["platform"] if name == "HEALTHCHECK")
    assert check.endswith('["python", "-m", "nija_common.http.probe", "http://127.0.0.1:8000/livez"]')


def test_the_base_is_an_argument_with_a_version_and_the_packages_are_the_lock_files() -> None:
    assert "latest" not in DOCKERFILE
    assert instructions()[0] == ("ARG", "BASE_IMAGE=python:3.11-slim-bookworm")
    assert [stage[0][1] for stage in stages().values()] == [
        "${BASE_IMAGE} AS build",
        "${RUNTIME_IMAGE} AS platform",
        "platform AS embedded",
    ]
    for text in (text for name, text in instructions() if name == "RUN" and "uv sync" in text):
        assert "--no-dev" in text
        assert "--locked" in text or "--frozen" in text
    assert not re.search(r"https?://(?!127\.0\.0\.1)", DOCKERFILE)


def test_what_builds_our_packages_is_fixed() -> None:
    constraints = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["build-constraint-dependencies"]
    assert all("==" in each for each in constraints)
    assert any(each.startswith("hatchling==") for each in constraints)


def test_only_what_an_image_is_made_of_reaches_the_build() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    named = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {text.split()[0] for name, text in stages()["build"] if name == "COPY"}
    assert copied | {"uv.lock"} == named


def test_the_bill_of_materials_names_what_runs_and_nothing_of_the_tests(tmp_path: Path) -> None:
    """What `make sbom` calls, into a folder of the test."""
    uv = shutil.which("uv") or shutil.which(str(ROOT / ".tools/uv/bin/uv"))
    if uv is None:
        pytest.skip("there is no uv")
    out = tmp_path / "sbom.json"
    (recipe,) = re.findall(r"uv (export [^\\]*)", (ROOT / "Makefile").read_text())
    done = subprocess.run(
        [uv, *recipe.split(), "--offline", "--output-file", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    names = {each["name"] for each in document["components"]}
    assert document["bomFormat"] == "CycloneDX"
    assert {"nija-gateway", "aiokafka", "pymongo", "cryptography"} <= names
    assert not {"pytest", "mypy", "secantusdb", "pandas"} & names


def docker(*arguments: str) -> str:
    """What Docker answers. Raises CalledProcessError, whose text has what it said."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """Target -> image, built from this checkout. NIJA_TEST_BASE_IMAGE is another base, NIJA_TEST_DOCKER_ARGS more arguments."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no Docker")
    base = os.environ.get("NIJA_TEST_BASE_IMAGE")
    more = [
        *(["--build-arg", f"BASE_IMAGE={base}"] if base else []),
        *os.environ.get("NIJA_TEST_DOCKER_ARGS", "").split(),
    ]
    return {
        target: docker("build", "--quiet", "--target", target, *more, str(ROOT)).splitlines()[-1]
        for target in ("platform", "embedded")
    }


@pytest.fixture
def running(images: dict[str, str]) -> Iterator[str]:
    """A container of the embedded platform; nothing but its volume can be written."""
    name = docker("run", "--detach", *HARDENED, "--publish", "127.0.0.1:0:8000", images["embedded"])
    yield name
    docker("rm", "--force", "--volumes", name)


@pytest.mark.slow
@only_long("builds images")
@pytest.mark.timeout(1200)
def test_any_role_starts_from_the_image(images: dict[str, str]) -> None:
    assert "Start with: nija up --demo" in docker("run", "--rm", *HARDENED, images["platform"])
    started = subprocess.run(
        ["docker", "run", "--rm", *HARDENED, images["platform"], "serve", "gateway"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 1
    assert started.stderr == (
        "nija: NIJA_KEY_ENCRYPTION_KEY: missing; 32 random bytes in base64, the same for every service\n"
    )


@pytest.mark.slow
@only_long("builds images")
@pytest.mark.timeout(1200)
def test_the_embedded_platform_is_healthy_on_a_file_system_it_cannot_write_and_ends_when_told(running: str) -> None:
    def health() -> bool:
        return docker("inspect", "--format", "{{.State.Health.Status}}", running) == "healthy"

    wait_for("a healthy container", health, 90.0, every=1.0)
    docker("stop", "--time", "30", running)
    assert docker("inspect", "--format", "{{.State.ExitCode}} {{.Config.User}}", running) == "0 10001:10001"
