"""How clients prove themselves to Kafka's brokers, and know them: what every client of `kafka.py` is opened with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

ENCRYPTED = ("SSL", "SASL_SSL")


@dataclass(frozen=True, slots=True)
class Access:
    """`protocol` and `mechanism` are Kafka's names. `ca`: certificates in PEM that sign the brokers'; else the system's."""

    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    def options(self) -> dict[str, Any]:
        """Arguments of aiokafka's clients. Raises ValueError for a `ca` that is no certificate."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol in ENCRYPTED:
            try:
                options["ssl_context"] = ssl.create_default_context(cadata=self.ca or None)
            except ssl.SSLError as error:
                raise ValueError(f"not a certificate in PEM: {error.reason or error}") from None
        if self.mechanism is not None:
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options
