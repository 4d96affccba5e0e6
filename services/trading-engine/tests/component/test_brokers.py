"""`/config/brokers*` against a fake exchange over real HTTP, which checks signatures as Coinbase and Kraken do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import BotStatusChanged, BrokerConnected, BrokerRemoved
from nija_common.testing.exchange import ApiKey, Fault, FaultKind, RunningExchange
from nija_common.testing.exchange import coinbase_private as coinbase
from nija_common.testing.exchange import kraken_private as kraken
from nija_common.values.tiers import Tier
from nija_trading.domain.account import new_account
from nija_trading.domain.connections import BrokerConnection
from nija_trading.domain.records import Position

BROKERS = "/api/v1/config/brokers"
CASH = {"USD": "10450.75", "BTC": "0.5"}
VENUES = ("coinbase", "kraken")


def given_key(fake: RunningExchange, venue: str, **options: Any) -> tuple[ApiKey, dict[str, Any]]:
    """An account at the exchange, and the body that connects it."""
    make = coinbase.new_cloud_key if venue == "coinbase" else kraken.new_kraken_key
    key, secret = make(balances=CASH, **options)
    fake.exchange.add_key(key)
    return key, {"broker": venue, "api_key": key.name, "api_secret": secret}


@pytest.fixture
def connected_engine(engine: Callable[..., Any], fake_exchange: RunningExchange) -> Callable[..., Any]:
    """The engine, its exchanges being the fake one; `live`: the tier rests on a payment."""

    def start(**env: str) -> Any:
        addresses = {
            f"NIJA_BROKERS__{name}__BASE_URL": fake_exchange.base_url for name in ("COINBASE", "KRAKEN", "OKX")
        }
        return engine(**{"NIJA_TRADING_POLL_MS": "20", **addresses, **env})

    return start


def refused(answer: Any, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return str(answer.json()["error"]["message"])


async def connect(desk: Any, body: dict[str, Any]) -> str:
    answer = await desk.api.post(BROKERS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["broker_id"])


async def rows(desk: Any) -> tuple[list[Any], int]:
    """The stored connections of the user, and how many commands wait."""
    store = desk.platform.deps("trading-engine").store
    return await store.connections(desk.user_id), len(await store.waiting_commands())


@pytest.mark.parametrize("venue", VENUES)
async def test_a_good_key_is_tried_kept_listed_tested_and_removed(
    venue: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, venue)
    async with connected_engine() as desk:
        await desk.settle()
        answer = await desk.api.post(BROKERS, json=body)
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        assert data == {
            "broker_id": data["broker_id"],
            "message": "Broker connected successfully",
            "status": "connected",
        }
        assert data["broker_id"].startswith("brk_")
        assert {call.key for call in fake_exchange.exchange.calls} == {key.name}

        (shown,) = (await desk.api.get(BROKERS)).json()["data"]["brokers"]
        assert shown["name"] == venue
        assert shown["display_name"] == {"coinbase": "Coinbase Advanced Trade", "kraken": "Kraken Pro"}[venue]
        assert (shown["status"], shown["permissions"]) == ("connected", ["read", "trade"])
        assert shown["api_key_masked"] == f"{key.name[:3]}***{key.name[-6:]}"
        assert shown["last_connected"] >= shown["created_at"]

        tested = await desk.api.post(f"{BROKERS}/{data['broker_id']}/test")
        found = tested.json()["data"]
        assert tested.status_code == 200
        assert found["account_balance"] == 10450.75
        assert (found["status"], found["permissions"]) == ("connected", ["read", "trade"])
        assert 0 <= found["latency_ms"] < 5_000

        gone = await desk.api.delete(f"{BROKERS}/{data['broker_id']}")
        assert gone.json()["data"] == {"message": "Broker removed successfully", "open_positions": 0}
        assert (await desk.api.get(BROKERS)).json()["data"] == {"brokers": []}
        assert await rows(desk) == ([], 0)

        (told,) = await desk.platform.emitted(BrokerConnected)
        assert (told.broker_id, told.broker, told.permissions) == (data["broker_id"], venue, ("read", "trade"))
        assert [event.broker_id for event in await desk.platform.emitted(BrokerRemoved)] == [data["broker_id"]]
        audit = [(row.event_type, row.metadata.get("purpose")) for row in await desk.platform.emitted(AuditRecorded)]
        assert audit == [
            ("broker_added", None),
            ("broker_key_used", "connect"),
            ("broker_connected", None),
            ("broker_key_used", "test"),
            ("broker_removed", None),
        ]


@pytest.mark.parametrize("make", [coinbase.new_ed25519_key, coinbase.new_legacy_key])
async def test_coinbases_other_kinds_of_keys_sign_too(
    make: Any, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, secret = make(balances=CASH)
    fake_exchange.exchange.add_key(key)
    async with connected_engine() as desk:
        await desk.settle()
        await connect(desk, {"broker": "coinbase", "api_key": key.name, "api_secret": secret})


async def test_coinbases_key_name_may_come_in_two_parts_and_its_secret_with_escaped_line_ends(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, "coinbase")
    _, organisation, _, name = key.name.split("/")
    secret = body["api_secret"].replace("\n", "\\n")
    async with connected_engine() as desk:
        await desk.settle()
        more = {"api_key": name, "api_secret": secret, "additional_params": {"org_id": organisation}}
        await connect(desk, {**body, **more})


async def test_cash_counts_dollars_of_every_page_and_what_orders_hold(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, "coinbase")
    key.balances = {f"A{number:03}": "1" for number in range(300)} | {"USD": "100.10", "USDC": "2", "EUR": "7"}
    key.held = {"USD": "0.25"}
    async with connected_engine() as desk:
        await desk.settle()
        broker_id = await connect(desk, body)
        found = (await desk.api.post(f"{BROKERS}/{broker_id}/test")).json()["data"]
        assert found["account_balance"] == 102.35


@pytest.mark.parametrize("venue", VENUES)
async def test_of_a_key_that_the_exchange_refuses_nothing_is_kept(
    venue: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, venue)
    _, other = given_key(fake_exchange, venue)
    async with connected_engine() as desk:
        await desk.settle()
        for bad in ({"api_secret": other["api_secret"]}, {"api_key": "unknown-key-of-nobody"}):
            message = refused(await desk.api.post(BROKERS, json={**body, **bad}), 400, "INVALID_API_KEY")
            assert "does not accept this key" in message
            assert await rows(desk) == ([], 0)
        assert not await desk.platform.emitted(BrokerConnected)
        await connect(desk, body)


@pytest.mark.parametrize(
    ("venue", "secret"),
    [("kraken", "no base64!"), ("coinbase", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----")],
)
async def test_a_secret_that_cannot_sign_is_refused_before_anything_is_sent(
    venue: str, secret: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, venue)
    async with connected_engine() as desk:
        await desk.settle()
        message = refused(await desk.api.post(BROKERS, json={**body, "api_secret": secret}), 400, "INVALID_API_KEY")
        assert "The secret is" in message
        assert secret not in message
        assert not fake_exchange.exchange.calls
        assert await rows(desk) == ([], 0)


@pytest.mark.parametrize(("venue", "may"), [("coinbase", "transfer"), ("kraken", "withdraw-funds")])
async def test_a_key_that_may_withdraw_is_refused_with_the_reason(
    venue: str, may: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, venue)
    key.permissions |= {may}
    async with connected_engine() as desk:
        await desk.settle()
        message = refused(await desk.api.post(BROKERS, json=body), 400, "INVALID_API_KEY")
        assert "withdraw" in message
        assert await rows(desk) == ([], 0)


@pytest.mark.parametrize(("venue", "may"), [("coinbase", "trade"), ("kraken", "modify-trades")])
async def test_a_key_that_may_not_read_balances_is_refused_with_the_reason(
    venue: str, may: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, venue, permissions={may})
    async with connected_engine() as desk:
        await desk.settle()
        assert "read balances" in refused(await desk.api.post(BROKERS, json=body), 400, "INVALID_API_KEY")


FAULTS = (
    (Fault(FaultKind.DROP), "cannot be reached"),
    (Fault(FaultKind.STATUS, status=503), "cannot be reached"),
    (Fault(FaultKind.STATUS, status=429), "takes no more calls"),
    (Fault(FaultKind.GARBAGE), "cannot be read"),
)


@pytest.mark.parametrize("venue", VENUES)
async def test_an_exchange_in_trouble_is_no_bad_key_and_nothing_is_kept(
    venue: str, connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, venue)
    rights, balance = ("key_permissions", "accounts") if venue == "coinbase" else ("GetApiKeyInfo", "BalanceEx")
    async with connected_engine() as desk:
        await desk.settle()
        for fault, said in FAULTS:
            for path in (rights, balance):
                fake_exchange.exchange.will_fail(path, always=fault)
                assert said in refused(await desk.api.post(BROKERS, json=body), 502, "BROKER_ERROR")
                assert await rows(desk) == ([], 0)
                fake_exchange.exchange.heal()
        broker_id = await connect(desk, body)
        fake_exchange.exchange.will_fail(balance, always=FAULTS[0][0])
        refused(await desk.api.post(f"{BROKERS}/{broker_id}/test"), 502, "BROKER_ERROR")
        (kept,) = (await desk.api.get(BROKERS)).json()["data"]["brokers"]
        assert kept["status"] == "connected"


async def test_an_exchange_that_is_not_there_is_a_broker_error(
    engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, "kraken")
    async with engine(NIJA_TRADING_POLL_MS="20", NIJA_BROKERS__KRAKEN__BASE_URL="http://127.0.0.1:1") as desk:
        await desk.settle()
        refused(await desk.api.post(BROKERS, json=body), 502, "BROKER_ERROR")
        assert await rows(desk) == ([], 0)


async def test_a_key_that_has_been_revoked_shows_as_error_until_it_works_again(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, "kraken")
    async with connected_engine() as desk:
        await desk.settle()
        broker_id = await connect(desk, body)
        verifier, key.verifier = key.verifier, kraken.new_kraken_key()[1]
        refused(await desk.api.post(f"{BROKERS}/{broker_id}/test"), 400, "INVALID_API_KEY")
        (shown,) = (await desk.api.get(BROKERS)).json()["data"]["brokers"]
        assert shown["status"] == "error"
        key.verifier = verifier
        assert (await desk.api.post(f"{BROKERS}/{broker_id}/test")).status_code == 200
        (shown,) = (await desk.api.get(BROKERS)).json()["data"]["brokers"]
        assert shown["status"] == "connected"
        assert len(await desk.platform.emitted(BrokerConnected)) == 1


async def test_a_slow_exchange_holds_up_neither_commands_nor_other_users(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange, user_of: Callable[..., Any]
) -> None:
    _, body = given_key(fake_exchange, "coinbase")
    _, theirs = given_key(fake_exchange, "kraken")
    fake_exchange.exchange.will_fail("key_permissions", Fault(FaultKind.DELAY, delay_s=1.0))
    async with connected_engine() as desk:
        other = user_of(desk.platform, "usr_b")
        await desk.settle()
        await other.settle()
        adding = asyncio.create_task(desk.api.post(BROKERS, json=body))
        while not fake_exchange.exchange.calls_to("key_permissions"):
            await asyncio.sleep(0.005)
        assert (await desk.start()).status_code == 200
        await desk.running()
        await connect(other, theirs)
        assert not adding.done()
        assert (await adding).status_code == 201


async def test_all_calls_with_one_key_go_one_after_the_other_with_rising_numbers(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    key, body = given_key(fake_exchange, "kraken")
    async with connected_engine() as desk:
        await desk.settle()
        broker_id = await connect(desk, body)
        path = f"{BROKERS}/{broker_id}/test"
        answers = await asyncio.gather(*(desk.api.post(path) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        paths = [call.path.rsplit("/", 1)[1] for call in fake_exchange.exchange.calls if call.key == key.name]
        assert paths == ["GetApiKeyInfo", "BalanceEx"] * 9


async def test_without_a_worker_the_caller_is_told_to_try_again_and_nothing_is_kept(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, "coinbase")
    async with connected_engine(NIJA_TRADING_KEY_CHECK_MS="100") as desk:
        await desk.settle()
        fake_exchange.exchange.will_fail("key_permissions", Fault(FaultKind.DELAY, delay_s=0.4))
        answer = await desk.api.post(BROKERS, json=body)
        refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "10"
        assert await rows(desk) == ([], 0)
        worker_is_done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.6, worker_is_done.set)
        await worker_is_done.wait()
        assert await rows(desk) == ([], 0), "what comes too late changes nothing"
        assert not await desk.platform.emitted(BrokerConnected)


async def test_one_connection_an_exchange_and_no_more_than_the_tier_allows(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange, standing_of: Callable[..., Any]
) -> None:
    (_, body), (_, again) = given_key(fake_exchange, "coinbase"), given_key(fake_exchange, "coinbase")
    _, second = given_key(fake_exchange, "kraken")
    async with connected_engine() as desk:
        await standing_of(desk, Tier.FREE, live=False)
        broker_id = await connect(desk, body)
        refused(await desk.api.post(BROKERS, json=again), 409, "BROKER_ALREADY_CONNECTED")
        answer = await desk.api.post(BROKERS, json=second)
        assert "allows 1 exchange connection." in refused(answer, 403, "EXCEEDS_TIER_LIMIT")
        await standing_of(desk, Tier.BASIC, live=True)
        await connect(desk, second)
        await desk.api.delete(f"{BROKERS}/{broker_id}")
        await connect(desk, again)


async def test_two_at_once_do_not_both_use_the_last_connection_that_a_tier_allows(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange, standing_of: Callable[..., Any]
) -> None:
    bodies = [given_key(fake_exchange, venue)[1] for venue in VENUES]
    async with connected_engine() as desk:
        await standing_of(desk, Tier.FREE, live=False)
        answers = await asyncio.gather(*(desk.api.post(BROKERS, json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201, 403]


NOT_VALID: tuple[dict[str, Any], ...] = (
    {"api_key": None},
    {"api_key": ""},
    {"api_key": "with space"},
    {"api_key": "line\r\nX-Header: 1"},
    {"api_key": 7},
    {"api_key": "k" * 513},
    {"api_secret": ""},
    {"api_secret": "s" * 4097},
    {"broker": ""},
    {"more": "x"},
    {"additional_params": {"unknown": "x"}},
    {"additional_params": {"org_id": "a b"}},
    {"additional_params": {"password": "\ud800"}},
    {"api_secret": "\ud800"},
    {"additional_params": "x"},
)


async def test_a_body_that_is_not_valid_is_refused_without_repeating_it(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    good = {"broker": "kraken", "api_key": "canary-key-name", "api_secret": "canary-secret"}
    async with connected_engine() as desk:
        for change in NOT_VALID:
            body = json.dumps({**good, **change})
            answer = await desk.api.post(BROKERS, content=body, headers={"Content-Type": "application/json"})
            refused(answer, 400, "VALIDATION_ERROR")
            assert "canary" not in answer.text
        assert not fake_exchange.exchange.calls


async def test_an_exchange_that_we_do_not_know_is_unsupported(connected_engine: Callable[..., Any]) -> None:
    async with connected_engine() as desk:
        for name in ("hyperliquid", "mtgox", "Coinbase", "__class__"):
            answer = await desk.api.post(BROKERS, json={"broker": name, "api_key": "k", "api_secret": "s"})
            refused(answer, 400, "UNSUPPORTED_BROKER")


async def test_an_exchange_that_asks_for_more_than_key_and_secret_says_so(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    async with connected_engine() as desk:
        await desk.settle()
        body: dict[str, Any] = {"broker": "okx", "api_key": "0123456789abcdef", "api_secret": "s3cret"}
        message = refused(await desk.api.post(BROKERS, json=body), 400, "INVALID_API_KEY")
        assert message == "OKX also asks for additional_params.password."
        assert not fake_exchange.exchange.calls
        body["additional_params"] = {"password": "pass phrase"}
        refused(await desk.api.post(BROKERS, json=body), 502, "BROKER_ERROR")
        assert fake_exchange.exchange.calls, "asked at the address of the settings"


async def test_nobody_reaches_a_connection_of_somebody_else_or_without_a_token(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange, user_of: Callable[..., Any]
) -> None:
    _, body = given_key(fake_exchange, "kraken")
    async with connected_engine() as desk:
        await desk.settle()
        broker_id = await connect(desk, body)
        other, nobody = user_of(desk.platform, "usr_b"), desk.platform.client("trading-engine")
        for path in (broker_id, "brk_unknown"):
            refused(await other.api.delete(f"{BROKERS}/{path}"), 404, "NOT_FOUND")
            refused(await other.api.post(f"{BROKERS}/{path}/test"), 404, "NOT_FOUND")
        assert (await other.api.get(BROKERS)).json()["data"] == {"brokers": []}
        calls = [nobody.get(BROKERS), nobody.post(BROKERS, json=body), nobody.delete(f"{BROKERS}/{broker_id}")]
        for answer in await asyncio.gather(*calls, nobody.post(f"{BROKERS}/{broker_id}/test")):
            refused(answer, 401, "TOKEN_INVALID")
        assert len(fake_exchange.exchange.calls) == 2
        assert len((await desk.api.get(BROKERS)).json()["data"]["brokers"]) == 1


async def test_removing_a_broker_stops_a_bot_that_trades_live_there_and_counts_what_is_open(
    connected_engine: Callable[..., Any],
) -> None:
    async with connected_engine(NIJA_TRADING_POLL_MS="60000") as desk:
        await desk.settle()
        work, storage = desk.platform.node.running["trading-engine"].work, desk.platform.deps("trading-engine").storage
        connection = BrokerConnection(
            id="brk_live",
            user_id=desk.user_id,
            broker="kraken",
            status="connected",
            sealed="",
            masked="***",
            created_at_ms=1,
        )
        account = new_account(desk.user_id).changed(status="running", broker="kraken", paper=False, positions=2)
        held = {"user_id": desk.user_id, "trade_id": "trd", "source": "strategy", "state": {}, "opened_at_ms": 1}
        uow = work.open()
        uow.save(connection, account)
        for name, broker, paper in (("a", "kraken", False), ("b", "kraken", True), ("c", "coinbase", False)):
            uow.save(Position(id=f"pos_{name}", broker=broker, paper=paper, symbol="BTC-USD", **held))
        await work.commit(uow)

        data = (await desk.api.delete(f"{BROKERS}/brk_live")).json()["data"]
        assert data["open_positions"] == 1
        assert "Close them at the exchange" in data["warning"]
        kept = await storage.get(type(account), desk.user_id)
        assert (kept.status, kept.stopped_by) == ("stopped", "broker_removed")
        assert [event.status for event in await desk.platform.emitted(BotStatusChanged)] == ["stopped"]


async def test_a_connection_removed_while_its_key_is_tested_ends_the_test(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange
) -> None:
    _, body = given_key(fake_exchange, "coinbase")
    async with connected_engine() as desk:
        await desk.settle()
        broker_id = await connect(desk, body)
        fake_exchange.exchange.will_fail("key_permissions", Fault(FaultKind.DELAY, delay_s=0.3))
        testing = asyncio.create_task(desk.api.post(f"{BROKERS}/{broker_id}/test"))
        while len(fake_exchange.exchange.calls_to("key_permissions")) < 2:
            await asyncio.sleep(0.005)
        assert (await desk.api.delete(f"{BROKERS}/{broker_id}")).status_code == 200
        refused(await testing, 404, "NOT_FOUND")
        assert await rows(desk) == ([], 0)


async def test_a_live_start_is_refused_reason_by_reason_and_never_becomes_paper(
    connected_engine: Callable[..., Any], fake_exchange: RunningExchange, standing_of: Callable[..., Any]
) -> None:
    _, body = given_key(fake_exchange, "kraken")
    async with connected_engine() as desk:
        await desk.settle()
        refused(await desk.start(paper_trading=False, broker="kraken"), 402, "SUBSCRIPTION_REQUIRED")
        await standing_of(desk, Tier.PRO, live=True)
        refused(await desk.start(paper_trading=False, broker="kraken"), 400, "NO_BROKER_CONFIGURED")
        await connect(desk, body)
        refused(await desk.start(paper_trading=False, broker="coinbase"), 400, "NO_BROKER_CONFIGURED")
        answer = await desk.start(paper_trading=False, broker="kraken")
        assert "sends no orders to real exchanges" in refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert (await desk.status())["status"] == "stopped"
        assert (await desk.start(broker="kraken")).status_code == 200
