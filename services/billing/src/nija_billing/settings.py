"""What an operator can change about billing: whether Stripe takes the payments. Plans and trial are part of the product."""

from __future__ import annotations

from pydantic import Field, SecretStr

from nija_common.runtime.settings import Block


class BillingSettings(Block):
    """The service's own block. Without a key payments are taken by the offline stand-in, which charges nobody."""

    stripe_api_key: SecretStr | None = Field(
        None, description="Stripe's secret key. Without one, payments are an offline stand-in that charges nobody."
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None,
        description="Signing secrets of Stripe's webhook, comma-separated (several while one is rolled). "
        "Without one, the webhook refuses everything.",
    )
    stripe_api_base: str = Field(
        "https://api.stripe.com", pattern=r"^https?://[^/]+/?$", description="Address of Stripe's API."
    )

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """Every secret that a signature may be made with."""
        given = "" if self.stripe_webhook_secret is None else self.stripe_webhook_secret.get_secret_value()
        return tuple(secret.strip() for secret in given.split(",") if secret.strip())
