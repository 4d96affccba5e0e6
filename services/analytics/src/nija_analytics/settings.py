"""What an operator can change about analytics: nothing beyond the platform's own settings."""

from __future__ import annotations

from nija_common.runtime.settings import Block


class AnalyticsSettings(Block):
    """The service's own block."""
