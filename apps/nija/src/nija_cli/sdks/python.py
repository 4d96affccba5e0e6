"""The generated modules of the Python SDK: `models.py` and `operations.py`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from nija_cli.sdks.shape import GROUPS, Method, Parameter, RecordType, Shape, Type

HEADER = """\
\"\"\"{about} Generated from the API document by `make sdks`; a test keeps it fresh.\"\"\"

from __future__ import annotations

"""
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Any"}


def models(shape: Shape) -> str:
    """`nija_sdk/models.py`: a class for each object of an answer."""
    lines = ["from typing import Any, Literal", ""]
    lines += ["from nija_sdk.records import Record", "", ""]
    answered = _answered(shape)
    for name in sorted(answered):
        lines += [*_model(shape.records[name]), "", ""]
    for name in sorted(answered):
        nested = {part: _record_in(type_) for part, type_ in shape.records[name].fields.items()}
        held = {part: record for part, record in nested.items() if record}
        if held:
            inner = ", ".join(f'"{part}": {record}' for part, record in held.items())
            lines.append(f"{name}._records = {{{inner}}}")
    return HEADER.format(about="The objects of answers.") + "\n".join(lines).rstrip() + "\n"


def _model(record: RecordType) -> Iterator[str]:
    yield f"class {record.name}(Record):"
    if not record.fields:
        yield '    """No fields."""'
    for name, type_ in record.fields.items():
        if hasattr(dict, name):
            raise ValueError(
                f"{record.name}.{name} cannot be read as an attribute: dictionaries have a method of that name"
            )
        yield f"    {name}: {_annotation(type_)}"


def _answered(shape: Shape) -> set[str]:
    """Records that answers are made of; those of bodies alone are passed as mappings."""
    found: set[str] = set()
    waiting = [method.answer for method in shape.methods]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [record for type_ in shape.records[name].fields.values() if (record := _record_in(type_))]
    return found


def _record_in(type_: Type) -> str:
    if type_.kind == "list" and type_.of is not None:
        return _record_in(type_.of)
    return type_.record


def _annotation(type_: Type, *, sent: bool = False) -> str:
    if type_.kind == "values":
        text = f"Literal[{', '.join(_literal(value) for value in type_.values)}]"
    elif type_.kind == "list":
        inner = _annotation(type_.of, sent=sent) if type_.of is not None else "Any"
        text = f"Sequence[{inner}]" if sent else f"list[{inner}]"
    elif type_.kind == "record":
        text = "Mapping[str, Any]" if sent else type_.record
    else:
        text = _SCALARS[type_.kind]
    return f"{text} | None" if type_.nullable else text


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def operations(shape: Shape) -> str:
    """`nija_sdk/operations.py`: a class for each group, sync and async."""
    answers = ", ".join(sorted({method.answer for method in shape.methods}))
    lines = ["from collections.abc import Mapping, Sequence", "from typing import Any, Literal, Protocol, TypeVar", ""]
    lines += ["from nija_sdk.calls import OMITTED, Call, Omitted, made", f"from nija_sdk.models import {answers}"]
    lines += ["from nija_sdk.records import Record", "", 'R = TypeVar("R", bound=Record)', "", "", *_CALLERS]
    for prefix in ("", "Async"):
        for group in GROUPS:
            methods = [method for method in shape.methods if method.group == group]
            if methods:
                lines += _group(prefix, group, methods)
        lines += _root(prefix, [group for group in GROUPS if any(m.group == group for m in shape.methods)])
    return HEADER.format(about="The operations, by group.") + "\n".join(lines).rstrip() + "\n"


_CALLERS = [
    "class Caller(Protocol):",
    "    def __call__(self, call: Call, kind: type[R]) -> R: ...",
    "",
    "",
    "class AsyncCaller(Protocol):",
    "    async def __call__(self, call: Call, kind: type[R]) -> R: ...",
    "",
    "",
]


def _group(prefix: str, group: str, methods: list[Method]) -> Iterator[str]:
    yield f"class {prefix}{group.capitalize()}:"
    yield f'    """`/{group}/*`."""'
    yield ""
    yield f"    def __init__(self, call: {prefix}Caller) -> None:"
    yield "        self._call = call"
    for method in methods:
        yield ""
        yield from _method(prefix, method)
    yield ""
    yield ""


def _method(prefix: str, method: Method) -> Iterator[str]:
    positional = [p for p in method.parameters if p.place == "path"]
    named = [p for p in method.parameters if p.place != "path"]
    signature = ["self", *(f"{p.name}: str" for p in positional)]
    if named or method.takes_key:
        signature.append("*")
    signature += [_parameter(p) for p in named]
    if method.takes_key:
        signature.append("idempotency_key: str | None = None")
    word = "async def" if prefix else "def"
    yield f"    {word} {method.name}({', '.join(signature)}) -> {method.answer}:"
    yield from textwrap.indent(f'"""{_summary(method)}"""', "        ").splitlines()
    waits = "await " if prefix else ""
    yield f'        return {waits}self._call(made("{method.http}", "{method.path}"{_sent(method)}), {method.answer})'


def _summary(method: Method) -> str:
    text = " ".join(method.summary.split()) or f"{method.http} {method.path}"
    return "\n".join(textwrap.wrap(text.replace("\\", ""), 104))


def _parameter(parameter: Parameter) -> str:
    if parameter.required:
        return f"{parameter.name}: {_annotation(parameter.type, sent=True)}"
    annotation = _annotation(replace(parameter.type, nullable=False), sent=True)
    nothing = " | None" if parameter.type.nullable else ""
    return f"{parameter.name}: {annotation} | Omitted{nothing} = OMITTED"


def _sent(method: Method) -> str:
    parts = []
    for word, place in (("ids", "path"), ("query", "query"), ("body", "body")):
        inner = ", ".join(f'"{p.name}": {p.name}' for p in method.parameters if p.place == place)
        if inner:
            parts.append(f", {word}={{{inner}}}")
    if method.takes_key:
        parts.append(", idempotency_key=idempotency_key")
    return "".join(parts)


def _root(prefix: str, groups: list[str]) -> Iterator[str]:
    yield f"class {prefix}Operations:"
    yield '    """All groups."""'
    yield ""
    yield f"    def __init__(self, call: {prefix}Caller) -> None:"
    for group in groups:
        yield f"        self.{group} = {prefix}{group.capitalize()}(call)"
    yield ""
    yield ""
