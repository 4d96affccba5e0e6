"""Turns a delivery into a letter: subject, text and HTML of its template, which belong to notifier.

What is sealed is opened here and goes nowhere but into the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError, select_autoescape

from nija_common.security.sealing import Sealer
from nija_notifier.domain.mail import Delivery, Letter


class UnknownTemplate(Exception):
    """No template of that name, or a field of it is missing."""


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of mail: its subject, and what its sealed text becomes (given that text and the public address)."""

    subject: str
    opened: Callable[[str, str], Mapping[str, str]] | None = None


def _reset_link(token: str, public_url: str) -> Mapping[str, str]:
    return {"link": f"{public_url.rstrip('/')}/reset-password?token={quote(token, safe='')}"}


TEMPLATES: Mapping[str, Template] = {
    "reset_password": Template("Reset your NIJA password", _reset_link),
}

_ENVIRONMENT = Environment(
    loader=PackageLoader("nija_notifier", "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rewrapped(delivery: Delivery, sealer: Sealer) -> Delivery:
    """The delivery with its secret under the key-encryption key that seals now. Raises Unsealable."""
    if delivery.sealed is None:
        return delivery
    return delivery.model_copy(update={"sealed": sealer.rewrap(delivery.sealed, bound_to=delivery.id)})


def write_letter(delivery: Delivery, sealer: Sealer, public_url: str) -> Letter:
    """The letter of a delivery. Raises UnknownTemplate, Unsealable."""
    template = TEMPLATES.get(delivery.template)
    if template is None:
        raise UnknownTemplate("no such template")
    fields: dict[str, str] = dict(delivery.fields)
    if template.opened is not None:
        if delivery.sealed is None:
            raise UnknownTemplate("the template needs a sealed part")
        fields.update(template.opened(sealer.open(delivery.sealed, bound_to=delivery.id).decode(), public_url))
    try:
        text = _ENVIRONMENT.get_template(f"{delivery.template}.txt").render(fields)
        html = _ENVIRONMENT.get_template(f"{delivery.template}.html").render(fields)
    except UndefinedError:
        raise UnknownTemplate("a field of the template is missing") from None
    return Letter(delivery.id, delivery.to, template.subject, text, html)
