"""Turns a delivery into a letter: subject, text and HTML of its template, which belong to notifier.

What is sealed is opened here and goes nowhere but into the letter. Whatever somebody typed is one line of printable
text before it meets a template, and escaped in HTML, so a name can add neither headers nor links.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError, select_autoescape

from nija_common.security.sealing import Sealer
from nija_notifier.domain import wording
from nija_notifier.domain.mail import Delivery, Letter


class UnknownTemplate(Exception):
    """No template of that name, or a field of it is missing or not what it should be."""


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of mail: its subject (a template too), and what its sealed text becomes (given that text and the public
    address)."""

    subject: str
    opened: Callable[[str, str], Mapping[str, str]] | None = None


def _reset_link(token: str, public_url: str) -> Mapping[str, str]:
    return {"link": f"{public_url}/reset-password?token={quote(token, safe='')}"}


TEMPLATES: Mapping[str, Template] = {
    "welcome": Template("Welcome to NIJA"),
    "reset_password": Template("Reset your NIJA password", _reset_link),
    "trade": Template("{{ symbol }}: {{ side }} {{ action }}{% if mode == 'paper' %} (paper){% endif %}"),
    "daily_summary": Template("Your NIJA day, {{ period | period }}: {{ pnl | usd_change }}"),
    "weekly_report": Template("Your NIJA week, {{ period | period }}: {{ pnl | usd_change }}"),
    "payment_failed": Template("Your NIJA payment failed: new positions are suspended"),
    "kill_switch": Template(
        "{% if scope == 'global' %}Trading is {{ 'stopped' if state == 'tripped' else 'possible again' }} for everybody"
        "{% else %}Your kill switch is {{ 'on' if state == 'tripped' else 'off' }}{% endif %}"
    ),
}

_ENVIRONMENT = Environment(
    loader=PackageLoader("nija_notifier", "templates"),
    autoescape=select_autoescape(["html"], default_for_string=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(
    period=wording.period,
    usd=wording.usd,
    usd_change=wording.usd_change,
    percent_change=wording.percent_change,
    share=wording.share,
)
_SUBJECTS = {name: _ENVIRONMENT.from_string(template.subject) for name, template in TEMPLATES.items()}


def rewrapped(delivery: Delivery, sealer: Sealer) -> Delivery:
    """The delivery with its secret under the key-encryption key that seals now. Raises Unsealable."""
    if delivery.sealed is None:
        return delivery
    return delivery.model_copy(update={"sealed": sealer.rewrap(delivery.sealed, bound_to=delivery.id)})


def write_letter(delivery: Delivery, sealer: Sealer, public_url: str) -> Letter:
    """The letter of a delivery that has an address. Raises UnknownTemplate, Unsealable."""
    template = TEMPLATES.get(delivery.template)
    if template is None or delivery.to is None:
        raise UnknownTemplate("no such template, or no address")
    base = public_url.rstrip("/")
    fields = {name: wording.line(value) for name, value in delivery.fields.items()}
    fields["public_url"] = base
    if template.opened is not None:
        if delivery.sealed is None:
            raise UnknownTemplate("the template needs a sealed part")
        fields.update(template.opened(sealer.open(delivery.sealed, bound_to=delivery.id).decode(), base))
    try:
        fields["salutation"] = wording.salutation(fields["full_name"])
        subject = _SUBJECTS[delivery.template].render(fields)
        text = _ENVIRONMENT.get_template(f"{delivery.template}.txt").render(fields)
        html = _ENVIRONMENT.get_template(f"{delivery.template}.html").render(fields)
    except (UndefinedError, KeyError):
        raise UnknownTemplate("a field of the template is missing") from None
    except ArithmeticError:
        raise UnknownTemplate("a field of the template is no number") from None
    return Letter(delivery.id, delivery.to, wording.line(subject), text, html)
