"""Pages that name files and functions name ones that exist; links between pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "services").glob("*/README.md"))]


def test_follow_a_trade_names_files_and_functions_that_exist() -> None:
    page = (ROOT / "docs/follow-a-trade.md").read_text("utf-8")
    package: Path | None = None
    text = ""
    for token in re.findall(r"`([^`\n]+)`", page):
        if re.fullmatch(r"[\w/.-]+\.py", token):
            full = ROOT / token
            if token.startswith(("services/", "libs/")):
                parts = Path(token).parts
                package = ROOT.joinpath(*parts[:4])
            elif package is not None:
                full = package / token
            assert full.is_file(), f"{token} (in {package})"
            text = full.read_text("utf-8")
        elif re.fullmatch(r"[a-z_]+", token) and token not in {
            "processing",
            "submitting",
            "trade_executed",
            "position_update",
        }:
            assert re.search(rf"def {token}\(", text), f"{token} is not in the file named before it"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("service", sorted(p.name for p in (ROOT / "services").iterdir() if p.is_dir()))
def test_every_service_has_a_readme(service: str) -> None:
    assert (ROOT / "services" / service / "README.md").is_file()
