"""The settings as the processes would read them: values without secrets, wrong ones, and names that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from nija_cli.operating.doctor.findings import HIDDEN, Finding, fail, ok, shown, warn
from nija_cli.services import SERVICES
from nija_common.errors import SettingsError
from nija_common.runtime.settings import Block, PlatformSettings, load, names_of, refuse_unknown

AREA = "settings"


def settings_findings(env: Mapping[str, str]) -> list[Finding]:
    """One line a setting that is given, and one for each that is wrong."""
    blocks: list[type[Block]] = [PlatformSettings, *(service.settings for service in SERVICES)]
    known = {name: place for block in blocks for name, place in names_of(block).items()}
    wrong = {line.split(":")[0]: line for line in _wrong(blocks, env)}
    found: list[Finding] = []
    for name in sorted(env):
        try:
            refuse_unknown({name: env[name]}, blocks)
        except SettingsError as error:
            found.append(fail(AREA, str(error), "correct the name, or remove it: nothing starts with it"))
            continue
        place = known.get(name) or known.get(name.removesuffix("_FILE"))
        if place is not None and name not in wrong:
            found.append(ok(AREA, f"{name}={_shown(name, env[name], *place)}"))
    found += [fail(AREA, line, "correct it: see docs/settings.md") for line in wrong.values()]
    if not env:
        found.append(ok(AREA, "none is given: the embedded platform with its defaults"))
    if _given(env, "NIJA_STRIPE_API_KEY") and not _given(env, "NIJA_STRIPE_WEBHOOK_SECRET"):
        todo = "set NIJA_STRIPE_WEBHOOK_SECRET: without it Stripe's webhook is refused"
        found.append(warn(AREA, "Stripe's key is set, its webhook secret is not", todo))
    return found


def _wrong(blocks: Sequence[type[Block]], env: Mapping[str, str]) -> list[str]:
    """What is wrong with each value, looked at alone, and with those that contradict each other."""
    found: list[str] = []
    for block in blocks:
        for given in [*({name: value} for name, value in env.items()), env]:
            try:
                load(block, given)
            except SettingsError as error:
                found.append(str(error))
    return found


def _given(env: Mapping[str, str], name: str) -> bool:
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def _shown(name: str, value: str, block: type[BaseModel], field: str) -> str:
    if not name.endswith(field.upper()):
        return f"{value} (a file)"
    if "SecretStr" in str(block.model_fields[field].annotation):
        return HIDDEN
    return shown(value)
