"""The generated module of the TypeScript SDK: `generated.ts`.

Arguments are camelCase, and tables beside the methods say what each is called on the wire; answers keep the API's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nija_cli.sdks.shape import GROUPS, Method, Parameter, RecordType, Shape, Type

HEADER = """\
// The operations and the objects of answers. Generated from the API document by `make sdks`; a test keeps it fresh.

import type { Caller, Names, WriteArguments } from './calls.js';
"""
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "any": "unknown"}


def generated(shape: Shape) -> str:
    """`src/generated.ts`: interfaces of answers and arguments, and a class for each group."""
    blocks = [HEADER.rstrip()]
    sent = _records(shape, [p.type for method in shape.methods for p in method.parameters])
    answered = _records(shape, [Type("record", record=method.answer) for method in shape.methods])
    blocks += ["\n".join(_answer(shape.records[name])) for name in sorted(answered)]
    blocks += ["\n".join(_sent_record(shape.records[name])) for name in sorted(sent)]
    groups = [(group, [m for m in shape.methods if m.group == group]) for group in GROUPS]
    for group, methods in groups:
        blocks += ["\n".join(_arguments(method)) for method in methods if _named(method)]
        blocks.append("\n".join(_group(group, methods)))
    blocks.append("\n".join(_root([group for group, _ in groups])))
    return "\n\n".join(blocks) + "\n"


def camel(name: str) -> str:
    """`paper_trading` -> `paperTrading`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _records(shape: Shape, types: Sequence[Type]) -> set[str]:
    """The records that these types are made of."""
    found: set[str] = set()
    waiting = list(types)
    while waiting:
        type_ = waiting.pop()
        if type_.of is not None:
            waiting.append(type_.of)
        if type_.record and type_.record not in found:
            found.add(type_.record)
            waiting += shape.records[type_.record].fields.values()
    return found


def _answer(record: RecordType) -> Iterator[str]:
    yield f"export interface {record.name} {{"
    for name, type_ in record.fields.items():
        yield f"  {name}{'?' if name in record.optional else ''}: {_type(type_)};"
    yield "}"


def _sent_record(record: RecordType) -> Iterator[str]:
    """The interface of an object inside a body, and its names on the wire."""
    yield f"export interface {record.name}Argument {{"
    for name, type_ in record.fields.items():
        yield f"  {camel(name)}{'?' if name in record.optional else ''}: {_type(type_, sent=True)};"
    yield "}"
    yield ""
    yield f"const {_table(record)}: Names = {{"
    yield from _names(record.fields)
    yield "};"


def _table(record: RecordType | str) -> str:
    name = record if isinstance(record, str) else record.name
    return f"{name[0].lower()}{name[1:]}Names"


def _names(fields: dict[str, Type]) -> Iterator[str]:
    for name, type_ in fields.items():
        record = type_.of.record if type_.of is not None else type_.record
        wire = f"['{name}', {_table(record)}]" if record else f"'{name}'"
        yield f"  {camel(name)}: {wire},"


def _type(type_: Type, *, sent: bool = False) -> str:
    if type_.kind == "values":
        text = " | ".join(f"'{v}'" if isinstance(v, str) else str(v).lower() for v in type_.values)
    elif type_.kind == "list":
        inner = _type(type_.of, sent=sent) if type_.of is not None else "unknown"
        text = f"({inner})[]" if " " in inner else f"{inner}[]"
        text = f"readonly {text}" if sent else text
    elif type_.kind == "record":
        text = f"{type_.record}Argument" if sent else type_.record
    else:
        text = _SCALARS[type_.kind]
    return f"{text} | null" if type_.nullable else text


def _named(method: Method) -> list[Parameter]:
    return [parameter for parameter in method.parameters if parameter.place != "path"]


def _class(group: str) -> str:
    return f"{group.capitalize()}Operations"


def _arguments_name(method: Method) -> str:
    words = "".join(part.capitalize() for part in method.name.split("_"))
    return f"{method.group.capitalize()}{words}Arguments"


def _arguments(method: Method) -> Iterator[str]:
    base = " extends WriteArguments" if method.takes_key else ""
    yield f"export interface {_arguments_name(method)}{base} {{"
    for p in _named(method):
        yield f"  {camel(p.name)}{'' if p.required else '?'}: {_type(p.type, sent=True)};"
    yield "}"


def _group(group: str, methods: list[Method]) -> Iterator[str]:
    yield f"/** `/{group}/*`. */"
    yield f"export class {_class(group)} {{"
    yield "  readonly #call: Caller;"
    yield ""
    yield "  constructor(call: Caller) {"
    yield "    this.#call = call;"
    yield "  }"
    for method in methods:
        yield ""
        yield from _method(method)
    yield "}"


def _method(method: Method) -> Iterator[str]:
    ids = [camel(p.name) for p in method.parameters if p.place == "path"]
    named = _named(method)
    signature = [f"{name}: string" for name in ids]
    if named:
        needed = any(p.required for p in named)
        signature.append(f"given: {_arguments_name(method)}{'' if needed else ' = {}'}")
    elif method.takes_key:
        signature.append("given: WriteArguments = {}")
    text = " ".join(method.summary.split()) or f"{method.http} {method.path}"
    yield f"  /** {text.replace('*/', '* /')} */"
    yield f"  {camel(method.name)}({', '.join(signature)}): Promise<{method.answer}> {{"
    yield "    return this.#call({"
    yield f"      name: '{method.group}.{camel(method.name)}',"
    yield f"      http: '{method.http}',"
    yield f"      path: '{method.path}',"
    if ids:
        yield f"      ids: [{', '.join(ids)}],"
    for place in ("query", "body"):
        fields = {p.name: p.type for p in named if p.place == place}
        if fields:
            yield f"      {place}: {{"
            yield from (f"      {line}" for line in _names(fields))
            yield "      },"
    if named or method.takes_key:
        yield "      given,"
    if method.takes_key:
        yield "      takesKey: true,"
    yield "    });"
    yield "  }"


def _root(groups: list[str]) -> Iterator[str]:
    yield "/** All groups. */"
    yield "export class Operations {"
    for group in groups:
        yield f"  readonly {group}: {_class(group)};"
    yield ""
    yield "  constructor(call: Caller) {"
    for group in groups:
        yield f"    this.{group} = new {_class(group)}(call);"
    yield "  }"
    yield "}"
