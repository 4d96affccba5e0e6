"""JSON schemas for kubeconform, made from what is at hand: nothing is downloaded.

Kubernetes' own come from the package `kubernetes-validate` (1.25 to 1.37), whose schemas point at each other by absolute
paths; each one that is asked for is written here as a document of its own. Those of foreign resources (KEDA, the Prometheus
operator, Strimzi) are our own strict subsets, `deploy/k8s/schemas/*.yaml`: the fields that our manifests use, anything else
refused. They follow the operators' definitions, but know only a part of them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"}
"""Prometheus' durations; our subsets refer to it and to Kubernetes' definitions by name."""


class NoSchema(Exception):
    """A kind or a version that no schema is known for; the text names it."""


def _folder(version: str) -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise NoSchema("the package kubernetes-validate is not installed")
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"v{version}-local-strict"
    if not folder.is_dir():
        raise NoSchema(f"kubernetes-validate has no schemas of Kubernetes {version}")
    return folder


def _localised(node: Any, found: set[str]) -> Any:
    """The same schema with references into its own `$defs`; `found` takes the names it refers to."""
    if isinstance(node, dict):
        out = {}
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                name = value.rpartition("/")[2]
                found.add(name)
                out[key] = f"#/$defs/{name}"
            elif key == "$id":
                continue  # it would make every reference an address elsewhere
            else:
                out[key] = _localised(value, found)
        return out
    if isinstance(node, list):
        return [_localised(one, found) for one in node]
    return node


def _whole(schema: Schema, definitions: Mapping[str, Any]) -> Schema:
    """The schema together with every definition it needs."""
    found: set[str] = set()
    document: Schema = _localised(schema, found)
    defs: Schema = {}
    while missing := found - defs.keys():
        for name in missing:
            defs[name] = _localised(definitions[name], found)
    return {**document, "$defs": defs}


def _file_of(kind: str, api: str) -> str:
    """As kubeconform's template `{{.ResourceKind}}{{.KindSuffix}}` names it."""
    group, _, version = api.rpartition("/")
    return "-".join(part for part in (kind, group.split(".")[0], version) if part).lower() + ".json"


def _strict(node: Any) -> Any:
    """Objects with named properties take no others."""
    if isinstance(node, list):
        return [_strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    out = {key: _strict(value) for key, value in node.items()}
    if "properties" in out and out.get("type", "object") == "object":
        out = {"type": "object", **out, "additionalProperties": out.get("additionalProperties", False)}
    return out


def _foreign(source: Path) -> Iterable[tuple[str, str, Schema]]:
    for document in yaml.safe_load_all(source.read_text()):
        api, kind = document["apiVersion"], document["kind"]
        yield (
            api,
            kind,
            {
                "type": "object",
                "required": ["apiVersion", "kind", "metadata", "spec"],
                "additionalProperties": False,
                "properties": {
                    "apiVersion": {"const": api},
                    "kind": {"const": kind},
                    "metadata": {"$ref": META},
                    "spec": _strict(document["spec"]),
                },
            },
        )


def write(target: Path, version: str, kinds: Iterable[tuple[str, str]], foreign: Path) -> str:
    """Writes a schema for each (apiVersion, kind) into `target`; the schema location to give to kubeconform.

    `version` is Kubernetes', as `1.37.0`; `foreign` the folder of our subsets. Raises NoSchema.
    """
    folder = _folder(version)
    definitions = {**json.loads((folder / "_definitions.json").read_text())["$defs"], "duration": DURATION}
    known = {(api, kind): schema for file in sorted(foreign.glob("*.yaml")) for api, kind, schema in _foreign(file)}
    target.mkdir(parents=True, exist_ok=True)
    for api, kind in sorted(set(kinds)):
        name = _file_of(kind, api)
        own = folder / name
        if (api, kind) in known:
            schema = known[api, kind]
        elif own.is_file():
            schema = json.loads(own.read_text())
        else:
            raise NoSchema(f"no schema for {kind} ({api}) in Kubernetes {version} nor in {foreign}")
        (target / name).write_text(json.dumps(_whole(schema, definitions)))
    return str(target) + "/{{.ResourceKind}}{{.KindSuffix}}.json"
