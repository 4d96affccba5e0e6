"""A user's connections to exchanges: the stored key, what it may do, and how the check of a key goes.

The key itself is kept sealed and bound to its row and its owner; what is shown of it is a mask. Which exchanges there
are is written here, so that only a worker ever loads the library that talks to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_common.errors import ErrorCode, NijaError
from nija_common.values.document import Collection, Document, Index

EXCHANGES: Mapping[str, str] = {
    "coinbase": "Coinbase Advanced Trade",
    "kraken": "Kraken Pro",
    "binance": "Binance",
    "binancecoinm": "Binance COIN-M",
    "binanceusdm": "Binance USDⓈ-M",
    "bingx": "BingX",
    "bitget": "Bitget",
    "bybit": "Bybit",
    "cryptocom": "Crypto.com",
    "gate": "Gate",
    "hashkey": "HashKey Global",
    "kucoin": "KuCoin",
    "kucoinfutures": "KuCoin Futures",
    "mexc": "MEXC Global",
    "okx": "OKX",
    "woofipro": "WOOFI PRO",
}
"""Name -> what people call it: Coinbase, Kraken, and what ccxt certifies. Not Hyperliquid, which ccxt certifies too: its
key is a wallet's own, so it may always withdraw."""

CHECK_KEPT_MS = 600_000
"""How long the outcome of a check stays to be read."""
WITHDRAW = "withdraw"
_LEAST_SHOWN = 12

ConnectionStatus = Literal["checking", "connected", "error"]
Purpose = Literal["connect", "test"]
CheckState = Literal["waiting", "connected", "refused"]


class BrokerKey(BaseModel):
    """A key as a worker uses it, and as it is sealed. Its `repr` shows nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    api_key: str = Field(repr=False)
    api_secret: str = Field(repr=False)
    password: str | None = Field(None, repr=False)
    uid: str | None = Field(None, repr=False)
    account_id: str | None = Field(None, repr=False)


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What an exchange says of a key: `read`, `trade`, `withdraw` as far as it tells, the cash in units, how long one
    call took."""

    permissions: tuple[str, ...]
    cash: int
    latency_ms: int


class BrokerConnection(Document):
    """A connection. `checking` until a worker has tried its key; `error` when the exchange has refused it since."""

    collection: ClassVar[Collection] = Collection(
        "broker_connections",
        (
            Index("by_user", ("user_id", "created_at_ms")),
            Index("by_user_and_broker", ("user_id", "broker"), unique=True),
        ),
    )

    user_id: str
    broker: str
    status: ConnectionStatus = "checking"
    sealed: str = Field(repr=False)
    masked: str
    permissions: tuple[str, ...] = ()
    created_at_ms: int
    connected_at_ms: int | None = None

    @property
    def place(self) -> str:
        """What the sealed key is bound to: it opens in this row of this user for this exchange alone."""
        return connection_place(self.id, self.user_id, self.broker)

    def connected(self, report: KeyReport, at_ms: int) -> BrokerConnection:
        """After a check that the exchange has passed."""
        update = {"status": "connected", "permissions": report.permissions, "connected_at_ms": at_ms}
        return self.model_copy(update=update)

    def refused(self) -> BrokerConnection:
        """The exchange does not take the key any more."""
        return self.model_copy(update={"status": "error"})


class KeyCheck(Document):
    """One check of a key, asked for by the API and carried out by a worker; its id is the command's.

    The API waits for `state` to leave `waiting`. `code` and `message` say why a key was refused.
    """

    collection: ClassVar[Collection] = Collection("key_checks", ttl_field="expires_at_ms")

    user_id: str
    broker_id: str
    purpose: Purpose
    state: CheckState = "waiting"
    permissions: tuple[str, ...] = ()
    cash: int = 0
    latency_ms: int = 0
    code: ErrorCode | None = None
    message: str = ""
    expires_at_ms: int

    def passed(self, report: KeyReport) -> KeyCheck:
        """The key is good."""
        update = {
            "state": "connected",
            "permissions": report.permissions,
            "cash": report.cash,
            "latency_ms": report.latency_ms,
        }
        return self.model_copy(update=update)

    def failed(self, refusal: Refusal) -> KeyCheck:
        """The key is not good, or nobody could say."""
        return self.model_copy(update={"state": "refused", "code": refusal.code, "message": refusal.message})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a check did not pass."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a user gives for a connection. Its `repr` shows nothing of it."""

    broker: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    org_id: str | None = field(default=None, repr=False)
    uid: str | None = field(default=None, repr=False)
    account_id: str | None = field(default=None, repr=False)

    def key(self) -> BrokerKey:
        """The key as the exchange knows it. Coinbase's full name may be given in two parts; line ends of a PEM that was
        copied out of a JSON file are put right."""
        name = self.api_key.strip()
        if self.broker == "coinbase" and self.org_id and not name.startswith("organizations/"):
            name = f"organizations/{self.org_id.strip()}/apiKeys/{name}"
        secret = self.api_secret.strip().replace("\\n", "\n")
        return BrokerKey(
            api_key=name, api_secret=secret, password=self.password, uid=self.uid, account_id=self.account_id
        )


def connection_place(broker_id: str, user_id: str, broker: str) -> str:
    """The text that a connection's sealed key is bound to."""
    return f"trading/broker/{broker_id}/{user_id}/{broker}"


def masked(api_key: str) -> str:
    """`org***abc123`: the first 3 and the last 6 characters of a long name, fewer of a short one, none of a tiny one."""
    if len(api_key) < _LEAST_SHOWN:
        return "***"
    last = min(6, len(api_key) // 4)
    return f"{api_key[: last // 2]}***{api_key[-last:]}"


def refuse_withdrawals(report: KeyReport) -> None:
    """Raises INVALID_API_KEY for a key that may move money out of the account."""
    if WITHDRAW in report.permissions:
        raise NijaError(
            ErrorCode.INVALID_API_KEY,
            "This key may withdraw or transfer funds. Make one that may only read and trade, and add that.",
        )


def refuse_unsupported(broker: str) -> None:
    """Raises UNSUPPORTED_BROKER."""
    if broker not in EXCHANGES:
        raise NijaError(
            ErrorCode.UNSUPPORTED_BROKER,
            f"This broker is not supported. Choose one of: {', '.join(EXCHANGES)}.",
            {"supported": list(EXCHANGES)},
        )


def refuse_one_more(broker: str, present: Sequence[BrokerConnection], limit: int | None) -> None:
    """Raises BROKER_ALREADY_CONNECTED or EXCEEDS_TIER_LIMIT."""
    if any(connection.broker == broker for connection in present):
        raise NijaError(
            ErrorCode.BROKER_ALREADY_CONNECTED,
            f"{EXCHANGES[broker]} is connected already. Remove that connection first to use another key.",
        )
    if limit is not None and len(present) >= limit:
        raise NijaError(
            ErrorCode.EXCEEDS_TIER_LIMIT,
            f"Your plan allows {limit} exchange connection{'' if limit == 1 else 's'}.",
            {"limit": limit, "connected": len(present)},
        )
