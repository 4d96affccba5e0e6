"""What watches the platform: Prometheus' rules, Grafana's dashboards and the metrics they speak of, all of them real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from nija_common.telemetry import metrics
from nija_common.testing.fixtures_infra import missing
from nija_common.testing.long_run import LONG
from nija_common.testing.processes import Unavailable

ROOT = Path(__file__).parents[2]
WATCHING = ROOT / "deploy/observability"
RULES = sorted((WATCHING / "prometheus/rules").glob("*.yml"))
RULE_TESTS = sorted((WATCHING / "prometheus/tests").glob("*.yml"))
DASHBOARDS = sorted((WATCHING / "grafana/dashboards").glob("*.json"))

DECLARED = {name: each for name, each in vars(metrics).items() if isinstance(each, MetricWrapperBase)}
SERVED = {
    series
    for each in DECLARED.values()
    for series in {
        Counter: [f"{each._name}_total"],
        Gauge: [each._name],
        Histogram: [f"{each._name}_{part}" for part in ("bucket", "sum", "count")],
    }[type(each)]
}


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in loaded(path)["groups"]:
            yield from group["rules"]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


@pytest.fixture(scope="session")
def promtool() -> str:
    """Its path; fetched where it is not here yet."""
    done = subprocess.run([ROOT / "scripts/promtool.sh"], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        missing("promtool", Unavailable(done.stderr.strip().splitlines()[-1]))
    return done.stdout.strip()


def test_prometheus_takes_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", *RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_every_alert_fires_and_keeps_quiet_when_it_should(promtool: str, file: Path) -> None:
    if "long" in file.stem and not LONG:
        pytest.skip("NIJA_TEST_LONG=1 runs it")
    done = subprocess.run([promtool, "test", "rules", file.name], cwd=file.parent, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_proved_to_fire_and_to_keep_quiet(alert: str) -> None:
    cases = [
        case
        for file in RULE_TESTS
        for test in loaded(file)["tests"]
        for case in test["promql_expr_test"]
        if case["expr"] == f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    ]
    assert {bool(case.get("exp_samples")) for case in cases} == {True, False}


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in anchors(ROOT / page)


def named(text: str) -> set[str]:
    """Names of metrics in PromQL, those that rules record left out."""
    return set(re.findall(r"(?<![\w:])nija_[a-z_]+", text))


@pytest.mark.parametrize("file", [*RULES, *RULE_TESTS, *DASHBOARDS], ids=lambda file: file.name)
def test_rules_and_dashboards_speak_of_metrics_that_exist(file: Path) -> None:
    if file.suffix == ".json":
        found = named(" ".join(each["expr"] for panel in panels(file) for each in panel.get("targets", ())))
    else:
        found = named(file.read_text("utf-8"))
    assert found, "nothing was looked at"
    assert found <= SERVED


def test_an_objective_looks_at_a_bound_that_its_histogram_has() -> None:
    text = (WATCHING / "prometheus/rules/slo.yml").read_text("utf-8")
    looked_at = set(re.findall(r'(nija_[a-z_]+)_bucket\{[^}]*le="([^"]+)"', text))
    assert len(looked_at) == 4
    bounds = {each._name: each._upper_bounds for each in DECLARED.values() if isinstance(each, Histogram)}
    for name, bound in looked_at:
        assert bound in {str(each) for each in bounds[name]}, f"{name} has no bucket {bound}"


def test_recorded_names_are_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    texts = [file.read_text("utf-8") for file in (*RULES, *DASHBOARDS)]
    assert {name for text in texts for name in re.findall(r"nija:[a-z_]+:?[a-z_0-9]*", text)} <= recorded


@pytest.mark.parametrize("name", DECLARED)
def test_every_metric_is_set_somewhere(name: str) -> None:
    sources = [p for folder in ("libs", "services") for p in (ROOT / folder).glob("*/src/**/*.py")]
    uses = re.compile(rf"\b{name}(\.(inc|dec|set|set_function|observe|time|labels)\(|, \w+\))")
    assert any(uses.search(path.read_text("utf-8")) for path in sources if path.name != "metrics.py")


def panels(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["panels"]
    return found


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_can_be_shown_on_any_prometheus(file: Path) -> None:
    board = json.loads(file.read_text("utf-8"))
    assert board["uid"] == file.stem
    assert board["schemaVersion"] >= 38
    assert [each["type"] for each in board["templating"]["list"]] == ["datasource"]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} covers another panel"
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_prometheus_understands_every_expression_of_the_dashboards(promtool: str, tmp_path: Path) -> None:
    expressions = sorted(
        target["expr"].replace("$__rate_interval", "5m")
        for file in DASHBOARDS
        for panel in panels(file)
        for target in panel.get("targets", ())
    )
    recorded = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collector_is_wired_from_what_it_declares() -> None:
    config = loaded(WATCHING / "otel/collector.yml")
    assert set(config["service"]["extensions"]) <= config["extensions"].keys()
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= config[kind].keys()
            assert pipeline[kind]


def test_grafana_is_told_where_metrics_and_dashboards_are() -> None:
    provisioning = WATCHING / "grafana/provisioning"
    sources = loaded(provisioning / "datasources/nija.yml")["datasources"]
    assert [each["type"] for each in sources if each.get("isDefault")] == ["prometheus"]
    (provider,) = loaded(provisioning / "dashboards/nija.yml")["providers"]
    assert provider["options"]["path"].endswith("/dashboards")


def test_what_is_generated_is_fresh(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/dashboards.py", tmp_path], check=True)
    subprocess.run([sys.executable, ROOT / "scripts/slo_rules.py", tmp_path / "slo.yml"], check=True)
    fresh = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text("utf-8") for path in (*DASHBOARDS, WATCHING / "prometheus/rules/slo.yml")}
    assert fresh == kept, "run scripts/dashboards.py and scripts/slo_rules.py"
