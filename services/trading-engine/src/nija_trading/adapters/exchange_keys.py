"""Tries broker keys at real exchanges, through ccxt.

What ccxt makes of an answer is not believed blindly: it takes any HTTP 200 for a success, also a page of HTML. Coinbase
and Kraken say what a key may do, so both are asked with their own calls; other exchanges are asked for a balance only.
Every exception of the library ends here, and none of its texts leaves: they may hold parts of a request.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import importlib
import logging
import re
import ssl
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from nija_common.errors import ErrorCode, NijaError
from nija_common.values.clock import Clock
from nija_common.values.money import units
from nija_trading.domain.connections import EXCHANGES, WITHDRAW, BrokerKey, KeyReport
from nija_trading.settings import BrokersSettings

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger(__name__)

CHECK_S = 8.0
"""Less than the 10 s for which the API waits."""
CALL_MS = 5_000
CASH = ("USD", "USDC", "USDT")
"""What counts as US dollars, one for one."""

_PAGES = 20
_KRAKEN_CASH = {"ZUSD": "USD", "USD": "USD", "USDC": "USDC", "USDT": "USDT"}
_KRAKEN_READ = frozenset({"query-funds"})
_KRAKEN_TRADE = frozenset({"modify-trades"})
_KRAKEN_WITHDRAW = frozenset({"withdraw-funds", "add-withdraw-address", "update-withdraw-address"})
_KRAKEN_BAD_KEY = ("EAPI:Invalid key", "EAPI:Invalid signature")
"""The library maps only the first; the other would look like an exchange in trouble."""


class _Odd(Exception):
    """An answer with status 200 that is no answer to the question."""


class _Numbers:
    """Numbers that rise with each call, whatever the clock does: a key takes none that is not above its last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def __call__(self) -> int:
        self._last = max(self._last + 1, self._clock.now_ms())
        return self._last


class ExchangeKeys:
    """The port `BrokerKeys`. The library is loaded at the first check, so only where a worker runs.

    `check_s`: for all calls of a check, the wait for the key's queue included.
    """

    def __init__(self, settings: BrokersSettings, clock: Clock, *, check_s: float = CHECK_S) -> None:
        self._settings = settings
        self._clock = clock
        self._check_s = check_s
        self._numbers = _Numbers(clock)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._certificates: ssl.SSLContext | None = None
        self._queues: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()

    async def close(self) -> None:
        """Ends what is open; no check may follow."""
        for session in self._sessions.values():
            await session.close()

    async def check(self, broker: str, key: BrokerKey) -> KeyReport:
        refuse_malformed(broker, key)
        library = await self._loaded()
        queue = self._queue(broker, key)
        try:
            async with asyncio.timeout(self._check_s), queue:
                with self._client(library, broker, key) as client:
                    _refuse_incomplete(client, broker)
                    return await _ask(client, broker, self._clock)
        except TimeoutError:
            raise _failed(broker, "does not answer in time") from None
        except _Odd:
            raise _failed(broker, "answers something that cannot be read") from None
        except NijaError:
            raise
        except Exception as error:  # noqa: BLE001 - its parsers raise anything, and no text of theirs may leave
            raise _translated(library, broker, error) from None

    def _queue(self, broker: str, key: BrokerKey) -> asyncio.Lock:
        lock = self._queues.get((broker, key.api_key))
        if lock is None:
            lock = self._queues[broker, key.api_key] = asyncio.Lock()
        return lock

    @contextmanager
    def _client(self, library: Any, broker: str, key: BrokerKey) -> Iterator[Any]:
        """The library's client for this key. It does not hold calls back: a check is two or three."""
        base_url = self._settings.base_url(broker)
        given = {"password": key.password, "uid": key.uid, "accountId": key.account_id}
        client = getattr(library, broker)(
            {
                "apiKey": key.api_key,
                "secret": key.api_secret,
                **{name: value for name, value in given.items() if value is not None},
                "timeout": CALL_MS,
                "enableRateLimit": False,
                "nonce": self._numbers,
                "session": self._session(by_proxy=base_url is None),
            }
        )
        if base_url is not None:
            client.urls["api"] = _moved(client.urls["api"], base_url)
        try:
            yield client
        finally:
            client.session = None  # ours; the library would complain that it was left open

    async def _loaded(self) -> Any:
        """ccxt. Its import and the list of certificates take half a second, and more where nothing is compiled: not on
        the event loop. At the level `debug` ccxt would log headers, so that is switched off."""
        logging.getLogger("ccxt").setLevel(logging.WARNING)
        library = await asyncio.to_thread(importlib.import_module, "ccxt.async_support")
        if self._certificates is None:
            self._certificates = await asyncio.to_thread(ssl.create_default_context)
        return library

    def _session(self, *, by_proxy: bool) -> aiohttp.ClientSession:
        """Shared by all keys: a new connection for each call, no cookies. A proxy of the environment is for the
        exchanges' own addresses; one that an operator has set is meant as it stands."""
        import aiohttp

        session = self._sessions.get(by_proxy)
        if session is None:
            connector = aiohttp.TCPConnector(ssl=self._certificates or True, force_close=True)
            session = self._sessions[by_proxy] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=by_proxy
            )
        return session


def _moved(urls: Any, base_url: str) -> Any:
    """The library's addresses with another scheme and host."""
    if isinstance(urls, Mapping):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return re.sub(r"^https?://[^/]+", base_url, urls) if isinstance(urls, str) else urls


def refuse_malformed(broker: str, key: BrokerKey) -> None:
    """Raises INVALID_API_KEY for a secret that cannot sign: the library would fail in ways of its own."""
    secret = key.api_secret
    if broker == "kraken" and not _is_base64(secret):
        raise _bad_key("The secret is not what Kraken shows as the private key (base64).")
    if broker == "coinbase" and secret.startswith("-----BEGIN") and not _is_ec_key(secret):
        raise _bad_key("The secret is no complete ECDSA private key in PEM. Copy all of it, both end lines too.")


def _refuse_incomplete(client: Any, broker: str) -> None:
    """Raises INVALID_API_KEY where the exchange asks for more than was given."""
    names = {"password": "password", "uid": "uid", "accountId": "account_id"}
    missing = [
        f"additional_params.{ours}"
        for theirs, ours in names.items()
        if client.requiredCredentials.get(theirs) and not getattr(client, theirs)
    ]
    if missing:
        raise _bad_key(f"{EXCHANGES[broker]} also asks for {' and '.join(missing)}.")


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _is_ec_key(pem: str) -> bool:
    try:
        return isinstance(load_pem_private_key(pem.encode(), None), ec.EllipticCurvePrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


# -- what is asked -------------------------------------------------------------------------------------------


async def _ask(client: Any, broker: str, clock: Clock) -> KeyReport:
    started = clock.monotonic()
    if broker == "coinbase":
        permissions = _coinbase_permissions(await client.v3PrivateGetBrokerageKeyPermissions())
    elif broker == "kraken":
        permissions = _kraken_permissions(await client.privatePostGetApiKeyInfo())
    else:
        balance = await client.fetch_balance()
        latency_ms = round((clock.monotonic() - started) * 1000)
        return KeyReport(("read",), _cash_of(balance), latency_ms)
    latency_ms = round((clock.monotonic() - started) * 1000)
    cash = await _coinbase_cash(client) if broker == "coinbase" else _kraken_cash(await client.privatePostBalanceEx())
    return KeyReport(permissions, cash, latency_ms)


def _coinbase_permissions(answer: Any) -> tuple[str, ...]:
    names = {"can_view": "read", "can_trade": "trade", "can_transfer": WITHDRAW}
    if not isinstance(answer, Mapping) or not all(isinstance(answer.get(name), bool) for name in names):
        raise _Odd
    return tuple(ours for name, ours in names.items() if answer[name])


async def _coinbase_cash(client: Any) -> int:
    """Cash over all pages of accounts, what open orders hold included."""
    cash, cursor = 0, ""
    for _ in range(_PAGES):
        more = {"cursor": cursor} if cursor else {}
        answer = await client.v3PrivateGetBrokerageAccounts({"limit": 250, **more})
        if not isinstance(answer, Mapping) or not isinstance(answer.get("accounts"), list):
            raise _Odd
        for account in answer["accounts"]:
            if _text(account, "currency") in CASH:
                cash += _amount(account, "available_balance", "value") + _amount(account, "hold", "value")
        cursor = answer.get("cursor") or ""
        if not answer.get("has_next") or not cursor:
            return cash
    raise _Odd


def _kraken_permissions(answer: Any) -> tuple[str, ...]:
    found = _kraken_result(answer).get("permissions")
    if not isinstance(found, list):
        raise _Odd
    held = set(found)
    groups = (("read", _KRAKEN_READ), ("trade", _KRAKEN_TRADE), (WITHDRAW, _KRAKEN_WITHDRAW))
    return tuple(ours for ours, theirs in groups if held & theirs)


def _kraken_cash(answer: Any) -> int:
    """Cash; `balance` includes what open orders hold."""
    result = _kraken_result(answer)
    return sum(_amount(result, asset, "balance") for asset in result if _KRAKEN_CASH.get(asset) in CASH)


def _kraken_result(answer: Any) -> Mapping[str, Any]:
    result = answer.get("result") if isinstance(answer, Mapping) else None
    if not isinstance(result, Mapping):
        raise _Odd
    return result


def _cash_of(balance: Any) -> int:
    """Of the library's own form of a balance; one without the exchange's answer in it is none."""
    totals = balance.get("total") if isinstance(balance, Mapping) else None
    if not isinstance(totals, Mapping) or not balance.get("info"):
        raise _Odd
    return sum(units(totals[name]) for name in CASH if totals.get(name) is not None)


def _text(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(found, str):
        raise _Odd
    return found


def _amount(value: Any, *path: str) -> int:
    """The amount, in units, at the end of a path of names."""
    for name in path[:-1]:
        value = value.get(name) if isinstance(value, Mapping) else None
    try:
        return units(Decimal(_text(value, path[-1])))
    except (InvalidOperation, ValueError, OverflowError):
        raise _Odd from None


# -- what went wrong -----------------------------------------------------------------------------------------


def _translated(library: Any, broker: str, error: Exception) -> NijaError:
    """Ours for the library's exception, whose text is looked at but not passed on."""
    text = str(error)
    name = EXCHANGES[broker]
    if isinstance(error, library.PermissionDenied) or "EGeneral:Permission denied" in text:
        return _bad_key(f"{name} does not let this key read balances. Give it the permission to read and trade.")
    if isinstance(error, library.AuthenticationError) or any(sign in text for sign in _KRAKEN_BAD_KEY):
        return _bad_key(f"{name} does not accept this key. Check key and secret, and whether it has expired.")
    log.warning("broker_check_failed", broker=broker, error=type(error).__name__)
    if isinstance(error, library.InvalidNonce):
        return _failed(broker, "says that its calls come out of order: another program uses this key")
    if isinstance(error, library.RateLimitExceeded | library.DDoSProtection):
        return _failed(broker, "takes no more calls for the moment")
    if isinstance(error, library.NetworkError):
        return _failed(broker, "cannot be reached")
    return _failed(broker, "answers something that cannot be read")


def _bad_key(message: str) -> NijaError:
    return NijaError(ErrorCode.INVALID_API_KEY, message)


def _failed(broker: str, what: str) -> NijaError:
    return NijaError(ErrorCode.BROKER_ERROR, f"{EXCHANGES[broker]} {what}. Try again later.")
