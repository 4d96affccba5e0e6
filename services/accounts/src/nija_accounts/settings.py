"""What an operator can change about accounts: nothing beyond the platform's own settings."""

from __future__ import annotations

from nija_common.runtime.settings import Block


class AccountsSettings(Block):
    """The service's own block."""
