"""The NetworkPolicies allow the arrows of deploy/k8s/README.md and no other, from both of their ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nija_cli.environment import served_names

README = (Path(__file__).resolve().parents[2] / "deploy/k8s/README.md").read_text()
SERVICES = frozenset(served_names())
PODS = SERVICES | {"migrate", "console"}
NAMESPACES = {"ingress-nginx": "Ingress controller", "monitoring": "Prometheus", "observability": "collector"}
PRIVATE = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}
Arrow = tuple[str, str, str]


def _documented() -> set[Arrow]:
    """The table's arrows, a row for each pair of ends and each port."""
    table = README.split("## Who may reach whom")[1]
    found: set[Arrow] = set()
    for row in re.findall(r"^\| (.+) \|$", table, re.M):
        source, target, ports, _, _ = row.split(" | ")
        if source == "from":
            continue
        found |= {(a, b, port) for a in _ends(source) for b in _ends(target) for port in ports.split(", ")}
    return found


def _ends(cell: str) -> frozenset[str]:
    named = frozenset(re.findall(r"`([a-z-]+)`", cell))
    if cell.startswith("every service"):
        return SERVICES - named
    if cell == "every pod":
        return PODS
    return named or frozenset({cell})


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for one in selector.get("matchExpressions", []):
        inside = labels.get(one["key"]) in one["values"]
        if inside != {"In": True, "NotIn": False}[one["operator"]]:
            return False
    return True


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "nija", "app.kubernetes.io/component": name}


def _pods(selector: Mapping[str, Any]) -> set[str]:
    return {name for name in PODS if _matches(selector, _labels(name))}


def _peers(peer: Mapping[str, Any]) -> set[str]:
    """Who a peer is, in the table's words. Fails on one that the table has no word for."""
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        assert not peer.keys() - {"ipBlock"}
        if block["cidr"] == "169.254.20.10/32":
            return {"DNS"}
        assert block["cidr"] in ("0.0.0.0/0", "::/0")
        if "except" not in block:
            return {"any address"}
        assert block["cidr"] == "::/0" or set(block["except"]) >= PRIVATE
        return {"the internet"}
    if "namespaceSelector" in peer:
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        if namespace == "kube-system":
            assert peer["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
            return {"DNS"}
        assert "podSelector" not in peer
        return {NAMESPACES[namespace]}
    if peer["podSelector"].get("matchLabels", {}).get("strimzi.io/kind") == "Kafka":
        return {"Strimzi's brokers"}
    found = _pods(peer["podSelector"])
    assert found
    return found


def _ports(rule: Mapping[str, Any]) -> Iterator[str]:
    for one in rule["ports"]:
        port = {"http": 8000, "metrics": 9090}.get(one["port"], one["port"])
        yield f"{port}-{one['endPort']}" if "endPort" in one else str(port)


def _arrows(policies: Mapping[str, Any], direction: str) -> set[Arrow]:
    found: set[Arrow] = set()
    for policy in policies.values():
        spec = policy["spec"]
        assert spec["podSelector"], "a policy for every pod of the namespace would cut off Strimzi's"
        mine = _pods(spec["podSelector"])
        assert mine
        for rule in spec.get(direction, []):
            others = {name for peer in rule["to" if direction == "egress" else "from"] for name in _peers(peer)}
            pairs = {(a, b) if direction == "egress" else (b, a) for a in mine for b in others}
            found |= {(a, b, port) for a, b in pairs for port in _ports(rule)}
    return found


def test_everything_is_denied_first(rendered: Any) -> None:
    deny = rendered.of("NetworkPolicy")["deny"]["spec"]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert deny.keys() == {"podSelector", "policyTypes"}
    for name, template in rendered.pods().items():
        labels = template["metadata"]["labels"]
        assert _labels(name).items() <= labels.items()
        assert _matches(deny["podSelector"], labels)


def test_both_ends_of_an_arrow_between_pods_agree(rendered: Any) -> None:
    policies = rendered.of("NetworkPolicy")
    out, into = _arrows(policies, "egress"), _arrows(policies, "ingress")
    assert {arrow for arrow in out if arrow[1] in PODS} == {arrow for arrow in into if arrow[0] in PODS}


def test_the_arrows_are_exactly_those_of_the_table(built: dict[str, Any]) -> None:
    policies = [built[name].of("NetworkPolicy") for name in ("production", "production+tracing", "production+strimzi")]
    assert set().union(*(_arrows(one, way) for one in policies for way in ("egress", "ingress"))) == _documented()


def test_exchanges_and_stripe_are_reached_by_those_who_must_alone(rendered: Any) -> None:
    out = _arrows(rendered.of("NetworkPolicy"), "egress")
    outside = {source for source, target, _ in out if target == "the internet"}
    assert outside == ({"trading-worker"} if rendered.name == "dev" else {"trading-worker", "billing"})
    assert {source for source, target, port in out if port in ("465", "587")} <= {"notifier"}
    assert not [arrow for arrow in out if arrow[1] == "any address" and arrow[2] == "443"]
