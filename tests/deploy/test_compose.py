"""docker-compose.yml: what must hold of it whatever is added. That it runs is shown by hand (deploy/compose/here)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nija_cli.environment import served_names
from nija_cli.services import SERVICES
from nija_common.runtime.settings import PREFIX, Block, PlatformSettings, names_of
from nija_notifier.service import SERVICE as NOTIFIER

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in CONTAINERS.items() if "PLATFORM_IMAGE" in service["image"]}
BLOCKS: list[type[Block]] = [PlatformSettings, *(service.settings for service in SERVICES)]
SETTINGS = {name for block in BLOCKS for name in names_of(block)}
BESIDE = {"kafka", "mongo", "prometheus", "grafana", "otel-collector", "jaeger", "keys", "migrate"}
WITH_OBSERVABILITY = "./deploy/observability/"

container = pytest.mark.parametrize("name", CONTAINERS)


def waits_for(name: str) -> dict[str, str]:
    """Container -> the condition it waits for."""
    found = CONTAINERS[name].get("depends_on", {})
    return {other: each["condition"] for other, each in found.items()} if isinstance(found, dict) else {}


def test_every_service_is_there_and_two_workers() -> None:
    assert set(CONTAINERS) == {*served_names(), *BESIDE}
    for name in served_names():
        assert CONTAINERS[name]["command"] == ["serve", name, "--host", "0.0.0.0", "--port", "8000"]
    assert CONTAINERS["trading-worker"]["scale"] == 2


@container
def test_a_container_is_no_way_into_the_machine(name: str) -> None:
    service = CONTAINERS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "a user that is not root, by number"
    assert not {"privileged", "cap_add", "pid", "ipc", "devices", "userns_mode"} & set(service)
    assert service.get("network_mode", "none") == "none"
    assert not [volume for volume in service.get("volumes", ()) if "docker.sock" in volume]


@container
def test_only_the_gateway_and_what_looks_on_are_reached_and_from_this_machine_alone(name: str) -> None:
    ports = CONTAINERS[name].get("ports", [])
    assert bool(ports) == (name in {"gateway", "grafana", "prometheus", "jaeger"})
    for port in ports:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port)


@container
def test_what_stores_and_services_need_none_of_the_internet_for_has_none(name: str) -> None:
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    networks = CONTAINERS[name].get("networks", [])
    goes_out = {"trading-worker", "billing", "notifier"}
    assert ("outside" in networks) == (name in goes_out or "ports" in CONTAINERS[name])
    assert "inside" in networks or name == "keys"


@container
def test_every_image_has_a_version_and_can_be_another(name: str) -> None:
    found = re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-([^:}]+):([^:}]+)\}", CONTAINERS[name]["image"])
    assert found is not None
    assert re.match(r"v?\d", found[2]), "no tag that moves on"


@container
def test_every_setting_that_is_named_is_one(name: str) -> None:
    for variable in CONTAINERS[name].get("environment", {}):
        if variable.startswith(PREFIX):
            assert variable.removesuffix("_FILE") in SETTINGS
    for mentioned in re.findall(r"NIJA_[A-Z_]+", str(CONTAINERS[name])):
        assert mentioned.removesuffix("_FILE") in SETTINGS


def test_no_setting_that_every_process_reads_is_forgotten() -> None:
    """Told, passed on, or with a reason to be left alone."""
    left_alone = {
        "NIJA_DATA_DIR": "the image's",
        "NIJA_DRAIN_NOTICE_S": "for those behind a load balancer",
        "NIJA_KEY_ENCRYPTION_KEY": "in a file",
        "NIJA_KEY_ENCRYPTION_KEYS_OLD": "in a file",
        "NIJA_NAMESPACE": "stores of its own",
        "NIJA_SMTP_URL": "notifier's alone",
        "NIJA_MAIL_DIR": "the default, in a volume",
    }
    found = {name for name in names_of(PlatformSettings) if not name.startswith("NIJA_KAFKA__")}
    assert found - set(COMPOSE["x-settings"]) <= set(left_alone)
    assert "NIJA_SMTP_URL" in CONTAINERS[NOTIFIER.name]["environment"]
    assert "mail:/data" in CONTAINERS[NOTIFIER.name]["volumes"]


def test_no_secret_stands_in_the_file() -> None:
    secret = re.compile(r"KEY|PASSWORD|SECRET|SMTP_URL")
    for service in CONTAINERS.values():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable) and not variable.startswith("GF_") and value is not None:
                assert variable == "NIJA_KEY_ENCRYPTION_KEY_FILE"
    assert all("keys:/keys:ro" in CONTAINERS[name]["volumes"] for name in OURS if name != "keys")


def test_the_start_has_an_order() -> None:
    assert waits_for("migrate") == {
        "keys": "service_completed_successfully",
        "kafka": "service_healthy",
        "mongo": "service_healthy",
    }
    assert waits_for("auth") == {"migrate": "service_completed_successfully"}
    rest = set(served_names()) - {"auth", "gateway"}
    assert all(waits_for(name) == {"auth": "service_healthy"} for name in rest)
    assert waits_for("gateway") == dict.fromkeys({"auth", *rest}, "service_healthy")
    for name in ("kafka", "mongo"):
        assert CONTAINERS[name]["healthcheck"]["test"][0] == "CMD"
    # A service's check is the image's own: nothing here may take it away.
    assert [name for name in OURS if "healthcheck" in OURS[name]] == ["keys", "migrate"]


def test_services_are_given_longer_than_their_drain() -> None:
    for name in served_names():
        assert CONTAINERS[name]["stop_grace_period"] == "30s"


def test_what_is_kept_is_in_volumes_with_names() -> None:
    named = set(COMPOSE["volumes"])
    for service in CONTAINERS.values():
        for volume in service.get("volumes", ()):
            source = re.sub(r"^\$\{[A-Z_]+:-([a-z]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("./"):
                assert volume.endswith(":ro")
                assert source.startswith(WITH_OBSERVABILITY) or (ROOT / source).is_file(), source
            else:
                assert source in named


def test_kafka_makes_no_topic_by_itself_and_mongodb_ends_what_a_dead_process_left() -> None:
    lines = (ROOT / "deploy/compose/kafka.properties").read_text().splitlines()
    assert "auto.create.topics.enable=false" in lines
    assert "--setParameter=transactionLifetimeLimitSeconds=5" in CONTAINERS["mongo"]["command"]


def test_prometheus_scrapes_every_service_where_its_metrics_are() -> None:
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    (found,) = (job["dns_sd_configs"][0] for job in config["scrape_configs"] if job["job_name"] == "nija")
    assert sorted(found["names"]) == sorted(served_names())
    assert str(found["port"]) == COMPOSE["x-settings"]["NIJA_METRICS_PORT"]


def test_what_can_be_set_is_in_the_example() -> None:
    """Images, ports and folders of the Compose file, each with the default that it has there."""
    example = (ROOT / ".env.example").read_text()
    text = (ROOT / "docker-compose.yml").read_text()
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text):
        assert f"# {name}=" in example, name
        if name.endswith(("_IMAGE", "_PORT")):
            assert f"# {name}={default}\n" in example
