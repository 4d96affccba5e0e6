"""What deploy/k8s promises of every pod, read from what kustomize builds; the schemas are `make check`'s."""

from __future__ import annotations

import base64
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from nija_cli.environment import served_names
from nija_cli.services import SERVICES
from nija_common.runtime.settings import Block, PlatformSettings, load, refuse_unknown
from nija_common.values.shards import PARTITIONS

ROOT = Path(__file__).resolve().parents[2]
DRAIN_S = 25
"""A process ends within this time of SIGTERM (docs/architecture.md)."""
PODS = {*served_names(), "migrate", "console"}
HTTP = {name for name in served_names() if name != "trading-worker"}
RUNBOOK = (ROOT / "docs/runbooks/install.md").read_text()


def _container(template: Any) -> Any:
    (only,) = template["spec"]["containers"]
    return only


def _environment(rendered: Any, template: Any) -> dict[str, str]:
    """The pod's variables as the platform would see them."""
    return {**rendered.config(), **{one["name"]: one["value"] for one in _container(template).get("env", [])}}


def _mounted(template: Any) -> dict[str, tuple[str, str]]:
    """Path -> (Secret, key) of every file that comes from a Secret."""
    paths = {mount["name"]: mount["mountPath"] for mount in _container(template)["volumeMounts"]}
    found: dict[str, tuple[str, str]] = {}
    for volume in template["spec"]["volumes"]:
        secret = volume.get("secret")
        sources = [{**secret, "name": secret["secretName"]}] if secret else []
        sources += [source["secret"] for source in volume.get("projected", {}).get("sources", [])]
        for source in sources:
            for item in source["items"]:
                found[f"{paths[volume['name']]}/{item['path']}"] = (source["name"], item["key"])
    return found


def _selects(selector: Any, template: Any) -> bool:
    return bool(selector.items() <= template["metadata"]["labels"].items())


def test_every_role_runs_as_the_pod_of_its_name_and_nothing_else_does(rendered: Any) -> None:
    assert set(rendered.pods()) == PODS
    for name in served_names():
        args = _container(rendered.pods()[name])["args"]
        assert args == ["serve", name, "--host", "0.0.0.0", "--port", "8000"]
    assert _container(rendered.pods()["migrate"])["args"] == ["migrate"]
    assert set(rendered.of("Service")) == HTTP


def test_every_pods_settings_are_known_whole_and_right(rendered: Any, tmp_path: Path) -> None:
    blocks: list[type[Block]] = [PlatformSettings, *(service.settings for service in SERVICES)]
    secrets = {
        ("nija-key-encryption", "current"): base64.b64encode(bytes(32)).decode(),
        ("nija-key-encryption", "old"): "",
        ("nija-kafka", "ca.crt"): "",
        ("nija-kafka-operator", "ca.crt"): "",
    }
    for name, template in rendered.pods().items():
        files = _mounted(template)
        env = {}
        for variable, value in _environment(rendered, template).items():
            if variable.endswith("_FILE"):
                local = tmp_path / f"{name}{variable}"
                local.write_text(secrets.get(files[value], "given"))
                env[variable] = str(local)
            else:
                env[variable] = value
        refuse_unknown(env, blocks)
        platform = load(PlatformSettings, env)
        for service in SERVICES:
            load(service.settings, env)
        assert (platform.store, platform.bus) == ("mongodb", "kafka")
        assert platform.mongo_url is not None
        assert platform.kafka_bootstrap
        assert platform.kafka.sasl
        assert (platform.key_encryption_key is None) == (name == "migrate")


def test_addresses_in_the_settings_are_those_of_the_services(rendered: Any) -> None:
    config = rendered.config()
    upstreams = {key: url for key, url in config.items() if key.startswith("NIJA_UPSTREAMS__")}
    assert len(upstreams) == len(HTTP) - 1
    for key, url in {**upstreams, "NIJA_UPSTREAMS__AUTH": config["NIJA_JWKS_URL"]}.items():
        parts = urlsplit(url)
        service = rendered.of("Service")[parts.hostname]
        assert parts.hostname == key.removeprefix("NIJA_UPSTREAMS__").lower().replace("_", "-")
        assert parts.port == service["spec"]["ports"][0]["port"]
    for name, service in rendered.of("Service").items():
        assert _selects(service["spec"]["selector"], rendered.pods()[name])


def test_every_container_is_restricted(rendered: Any) -> None:
    for name, template in rendered.pods().items():
        pod, container = template["spec"], _container(template)
        assert not pod.keys() & {"initContainers", "hostNetwork", "hostPID", "hostIPC"}, name
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        resources = container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert "memory" in resources["limits"]
        account = rendered.of("ServiceAccount")[pod["serviceAccountName"]]
        assert pod["serviceAccountName"] == name
        assert account["automountServiceAccountToken"] is False


def test_what_the_platform_writes_is_on_a_volume(rendered: Any) -> None:
    for template in rendered.pods().values():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        mounts = {mount["mountPath"]: mount for mount in _container(template)["volumeMounts"]}
        assert "emptyDir" in volumes[mounts["/tmp"]["name"]]
        assert rendered.config()["NIJA_DATA_DIR"].startswith("/tmp/")
        assert all(mount.get("readOnly") for path, mount in mounts.items() if path != "/tmp")


def test_every_image_is_the_same_pinned_one(rendered: Any) -> None:
    images = {_container(template)["image"] for template in rendered.pods().values()}
    (only,) = images
    name, _, tag = only.rpartition(":")
    assert name == "nija-platform"
    assert tag
    assert tag != "latest"


@pytest.mark.parametrize("name", served_names())
def test_every_role_has_probes_spread_and_a_budget_and_time_to_drain(rendered: Any, name: str) -> None:
    deployment = rendered.of("Deployment")[name]
    template = deployment["spec"]["template"]
    container = _container(template)
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "http": 8000,
        "metrics": int(rendered.config()["NIJA_METRICS_PORT"]),
    }
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    assert {kind: probe["httpGet"] for kind, probe in probes.items()} == {
        "startup": {"path": "/livez", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
    }
    # /readyz asks the store (3 s at most) and the bus (2 s at most) and must still be answered in an outage of both.
    assert probes["readiness"]["timeoutSeconds"] > 5
    waits = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert (waits > 0) == (name in HTTP)
    # Whoever asks every few seconds has seen that the pod is not ready before it stops to listen.
    assert template["spec"]["terminationGracePeriodSeconds"] > waits + DRAIN_S
    spread = template["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for one in spread:
        assert "app.kubernetes.io/component" in one["matchLabelKeys"]
        assert _selects(one["labelSelector"]["matchLabels"], template)
    budget = rendered.of("PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    assert _selects(budget["selector"]["matchLabels"], template)
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == name


def test_one_thing_at_most_decides_how_many_pods_there_are(rendered: Any) -> None:
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in rendered.of("HorizontalPodAutoscaler").values()]
    scaled += [one["spec"]["scaleTargetRef"]["name"] for one in rendered.of("ScaledObject").values()]
    assert len(scaled) == len(set(scaled))
    for name, deployment in rendered.of("Deployment").items():
        assert ("replicas" in deployment["spec"]) != (name in scaled), name


def test_there_are_never_more_workers_than_shards(rendered: Any) -> None:
    keda = rendered.of("ScaledObject").get("trading-worker")
    cpu = rendered.of("HorizontalPodAutoscaler").get("trading-worker")
    if keda:
        spec = keda["spec"]
        assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, PARTITIONS)
        assert 2 <= spec["fallback"]["replicas"] <= PARTITIONS
        namespace = keda["metadata"]["namespace"]
        queries = [trigger["metadata"]["query"] for trigger in spec["triggers"]]
        assert queries == [
            f'sum({figure}{{namespace="{namespace}"}})' for figure in ("nija_commands_waiting", "nija_bots_running")
        ]
    elif cpu:
        assert (cpu["spec"]["minReplicas"], cpu["spec"]["maxReplicas"]) == (2, PARTITIONS)
    else:
        assert rendered.of("Deployment")["trading-worker"]["spec"]["replicas"] <= PARTITIONS


def test_gateways_that_share_limits_without_the_store_count_all_of_them(rendered: Any) -> None:
    most = rendered.of("HorizontalPodAutoscaler")["gateway"]["spec"]["maxReplicas"]
    assert int(rendered.config()["NIJA_GATEWAY_REPLICAS"]) == most


def test_the_ingresses_serve_the_public_address_and_the_socket_for_long(rendered: Any) -> None:
    url = urlsplit(rendered.config()["NIJA_PUBLIC_URL"])
    paths = {}
    for name, ingress in rendered.of("Ingress").items():
        (rule,) = ingress["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        paths[name] = path["path"]
        assert rule["host"] == url.hostname
        assert path["backend"]["service"] == {"name": "gateway", "port": {"name": "http"}}
        assert ("tls" in ingress["spec"]) == (url.scheme == "https")
        assert all(tls["hosts"] == [url.hostname] for tls in ingress["spec"].get("tls", []))
    assert paths == {"api": "/", "socket": "/ws/v1"}
    long = rendered.of("Ingress")["socket"]["metadata"]["annotations"]
    assert int(long["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 3600


def test_the_schema_comes_before_the_services_and_after_what_it_needs(rendered: Any) -> None:
    def wave(resource: Any) -> int:
        return int(resource["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))

    (config,) = rendered.of("ConfigMap").values()
    job = rendered.of("Job")["migrate"]
    needs = [config, rendered.of("ServiceAccount")["migrate"], *rendered.of("NetworkPolicy").values()]
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Sync"
    assert all(wave(one) < wave(job) for one in needs)
    assert all(wave(job) < wave(one) for one in rendered.of("Deployment").values())
    # The order for kubectl: everything that carries the label, the Job among it, then all.
    first = [*needs, job, *rendered.of("Namespace").values()]
    assert all(one["metadata"]["labels"]["nija/step"] == "first" for one in first)
    labelled = {one["kind"] for one in rendered.resources if one["metadata"].get("labels", {}).get("nija/step")}
    assert labelled == {"ConfigMap", "Job", "NetworkPolicy", "Namespace", "ServiceAccount"}


def test_secrets_are_files_that_the_install_page_makes_and_only_those_who_need_one_get_it(rendered: Any) -> None:
    given: dict[tuple[str, str], set[str]] = {}
    for name, template in rendered.pods().items():
        assert all("valueFrom" not in one for one in _container(template).get("env", [])), name
        assert [one.keys() for one in _container(template)["envFrom"]] == [{"configMapRef"}]
        files = _mounted(template)
        for place in files.values():
            given.setdefault(place, set()).add(name)
        named = {value for key, value in _environment(rendered, template).items() if key.endswith("_FILE")}
        # MongoDB's authority is named by the connection string.
        assert named == files.keys() - {"/run/secrets/nija/mongodb/ca.crt"}
    for user in {"operator", *served_names()} - {"trading-worker"}:
        pods = {"operator": {"migrate", "console"}, "trading-engine": {"trading-engine", "trading-worker"}}
        assert given["nija-mongodb", user] == pods.get(user, {user})
    assert given["nija-key-encryption", "current"] == PODS - {"migrate"}
    if rendered.name != "dev":
        assert given["nija-stripe", "api-key"] == given["nija-stripe", "webhook-secret"] == {"billing"}
        assert given["nija-smtp", "url"] == {"notifier"}
    for secret, key in given:
        if secret not in ("nija-services", "nija-operator", "nija-cluster-ca-cert"):  # Strimzi makes these itself
            assert f"secret generic {secret} " in RUNBOOK, secret
            assert key in RUNBOOK, (secret, key)


def test_the_overlay_of_the_install_page_builds_and_changes_what_it_names(built: Any, tmp_path: Path) -> None:
    assert built
    (kustomize,) = ROOT.glob(".tools/kustomize/*/kustomize")
    example = re.search(r"```yaml\n# my-nija/kustomization.yaml\n(.+?)```", RUNBOOK, re.S)
    assert example is not None
    shutil.copytree(ROOT / "deploy/k8s", tmp_path / "nija/deploy/k8s")
    (tmp_path / "my-nija").mkdir()
    (tmp_path / "my-nija/kustomization.yaml").write_text(example[1])
    done = subprocess.run(
        [kustomize, "build", str(tmp_path / "my-nija")], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    documents = list(yaml.safe_load_all(done.stdout))
    (config,) = (one["data"] for one in documents if one["kind"] == "ConfigMap")
    hosts = {one["spec"]["rules"][0]["host"] for one in documents if one["kind"] == "Ingress"}
    images = {_container(one["spec"]["template"])["image"] for one in documents if one["kind"] == "Deployment"}
    assert config["NIJA_KAFKA_BOOTSTRAP"] == "kafka.your.domain:9093"
    assert hosts == {urlsplit(config["NIJA_PUBLIC_URL"]).hostname} == {"nija.your.domain"}
    assert images == {"REGISTRY/nija-platform:0.1.0"}


def test_the_prometheus_rules_are_those_that_promtool_tests() -> None:
    script = runpy.run_path(str(ROOT / "scripts/prometheus_rules.py"))
    folder = script["TARGET"]
    assert {file.name: file.read_text() for file in folder.glob("*.yaml")} == script["generated"](), (
        "stale: run `make docs`"
    )
