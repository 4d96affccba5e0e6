"""When calls to a service are cut off, and when they are let through again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nija_gateway.domain.circuit import FAILURES, IN_FLIGHT, IN_FLIGHT_URGENT, OPEN_S, Circuit


def broken() -> Circuit:
    circuit = Circuit()
    for _ in range(FAILURES):
        assert circuit.enter(0.0, urgent=False)
        circuit.failed(0.0)
    return circuit


def test_failures_in_a_row_open_it_a_success_between_does_not() -> None:
    circuit = Circuit()
    for _ in range(3 * FAILURES):
        assert circuit.enter(0.0, urgent=False)
        circuit.failed(0.0)
        assert circuit.enter(0.0, urgent=False)
        circuit.succeeded()
    assert not circuit.open
    assert broken().open


def test_one_call_looks_whether_the_service_is_back() -> None:
    circuit = broken()
    assert not circuit.enter(OPEN_S / 2, urgent=False)
    assert circuit.enter(OPEN_S, urgent=False)
    assert not circuit.enter(OPEN_S, urgent=False)
    circuit.failed(OPEN_S)
    assert not circuit.enter(1.5 * OPEN_S, urgent=False)
    assert circuit.enter(2 * OPEN_S, urgent=False)
    circuit.succeeded()
    assert circuit.enter(2 * OPEN_S, urgent=False)


def test_a_look_whose_client_left_does_not_shut_it_for_good() -> None:
    circuit = broken()
    assert circuit.enter(OPEN_S, urgent=False)
    circuit.abandoned()
    assert circuit.enter(2 * OPEN_S, urgent=False)


def test_stop_buttons_pass_and_open_it_again_when_they_are_answered() -> None:
    circuit = broken()
    assert circuit.enter(0.0, urgent=True)
    circuit.succeeded()
    assert circuit.enter(0.0, urgent=False)


def test_too_many_at_once_are_sent_away_but_places_are_kept_for_stop_buttons() -> None:
    circuit = Circuit()
    for _ in range(IN_FLIGHT):
        assert circuit.enter(0.0, urgent=False)
    assert not circuit.enter(0.0, urgent=False)
    for _ in range(IN_FLIGHT_URGENT):
        assert circuit.enter(0.0, urgent=True)
    assert not circuit.enter(0.0, urgent=True)
    circuit.succeeded()
    assert circuit.enter(0.0, urgent=True)


@given(st.lists(st.sampled_from(["succeeded", "failed", "abandoned"]), max_size=60))
def test_every_call_that_ended_has_left(outcomes: list[str]) -> None:
    circuit, now = Circuit(), 0.0
    for outcome in outcomes:
        now += OPEN_S
        assert circuit.enter(now, urgent=False)
        if outcome == "failed":
            circuit.failed(now)
        else:
            getattr(circuit, outcome)()
        assert circuit.in_flight == 0
