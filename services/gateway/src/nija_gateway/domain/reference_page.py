"""The page at `/docs`: the API document as one self-contained HTML page. No script, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{margin-bottom:0}h2{margin-top:2rem;text-transform:capitalize;border-bottom:1px solid #ddd}
details{border:1px solid #ddd;border-radius:6px;margin:.5rem 0;padding:.5rem .75rem}
summary{cursor:pointer}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f6f6f6;padding:.75rem;border-radius:6px;overflow-x:auto}
.method{display:inline-block;min-width:4.5rem;font-weight:600}.who{color:#666;float:right}
table{border-collapse:collapse;width:100%}td{border-top:1px solid #eee;padding:.25rem .5rem;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}pre{background:#22252b}
details,h2{border-color:#3a3f47}td{border-color:#2c3037}a{color:#8ab4f8}.who{color:#9aa0a6}}
"""


def page(document: Json) -> bytes:
    """The whole page, UTF-8."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])}</h1><p>Version {escape(info['version'])}. ",
        'For machines: <a href="/openapi.json">openapi.json</a>.</p>',
        *(f"<p>{escape(text)}</p>" for text in info["description"].split("\n\n")),
    ]
    for tag, operations in _by_tag(document).items():
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts += [_operation(document, method, path, operation) for method, path, operation in operations]
    parts.append("</body></html>\n")
    return "".join(parts).encode()


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    who = "token" if operation.get("security") else "open"
    parts = [
        f'<details id="{escape(operation["operationId"])}"><summary><span class="who">{who}</span>',
        f'<span class="method">{method}</span> <code>{escape(path)}</code></summary>',
        f"<p>{escape(operation.get('description', ''))}</p>",
        _parameters(operation),
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        parts.append(f"<h3>Body</h3>{_shown(document, body)}")
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json")
        if status.startswith("2"):
            parts.append(f"<h3>{status}</h3>{_shown(document, content) if content else ''}")
    errors = [
        f"<tr><td>{status}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
        if not status.startswith("2")
    ]
    parts.append(f"<h3>Errors</h3><table>{''.join(errors)}</table></details>")
    return "".join(parts)


def _parameters(operation: Json) -> str:
    rows = [
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
        if "name" in p
    ]
    return f"<h3>Parameters</h3><table>{''.join(rows)}</table>" if rows else ""


def _shown(document: Json, content: Json) -> str:
    """The example where there is one, else the fields with their types."""
    example = content.get("example")
    text = json.dumps(example, indent=2, ensure_ascii=False) if example is not None else ""
    if example is None:
        text = "\n".join(_fields(document, content.get("schema", {}), "", 0))
    return f"<pre>{escape(text)}</pre>"


def _fields(document: Json, schema: Json, name: str, depth: int) -> Iterator[str]:
    """One line a field: its name, its type; nested fields are indented."""
    schema = _resolved(document, schema)
    properties = schema.get("properties")
    if name:
        yield f"{'  ' * (depth - 1)}{name}: {_type(document, schema)}"
    if properties is None and "items" in schema:
        properties = _resolved(document, schema["items"]).get("properties")
    for child, part in (properties or {}).items():
        yield from _fields(document, part, child, depth + 1)


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _type(document: Json, schema: Json) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(document, _resolved(document, part)) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(document, _resolved(document, schema.get('items', {})))}"
    return str(schema.get("type", "any"))
