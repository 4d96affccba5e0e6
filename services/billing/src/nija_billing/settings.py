"""What an operator can change about billing: nothing yet; plans and trial are part of the product."""

from __future__ import annotations

from nija_common.runtime.settings import Block


class BillingSettings(Block):
    """The service's own block."""
