"""A service that hangs is held off, and leaves room for the others."""

from __future__ import annotations

import pytest
from huiyin_chassis.errors import Unavailable
from huiyin_gateway.calls import Calls, Circuit
from hypothesis import given
from hypothesis import strategies as st


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit("casework")
    for _ in range(5):
        circuit.admit(now)
        circuit.ran_out(now)
    return circuit


def test_a_circuit_opens_after_calls_in_a_row_that_ran_out_of_time() -> None:
    circuit = Circuit("casework")
    for answered in (False, False, False, False, True, False, False, False, False):
        circuit.admit(0)
        if answered:
            circuit.answered()
        else:
            circuit.ran_out(0)
    assert not circuit.is_open
    circuit.ran_out(0)
    assert circuit.is_open
    with pytest.raises(Unavailable) as refused:
        circuit.admit(0.5)
    assert (refused.value.reason, refused.value.metadata["part"]) == ("SERVICE_DOWN", "casework")
    assert int(refused.value.metadata["retry_after"]) >= 1


def test_after_the_pause_one_call_tries_and_its_answer_lets_the_others_in() -> None:
    circuit = opened()
    circuit.admit(1.5)
    with pytest.raises(Unavailable):
        circuit.admit(1.5)
    circuit.answered()
    circuit.admit(1.5)
    assert not circuit.is_open


def test_each_try_that_fails_makes_the_pause_longer_up_to_eight_seconds() -> None:
    circuit, now = opened(), 0.0
    for pause in (1.0, 2.0, 4.0, 8.0, 8.0):
        with pytest.raises(Unavailable):
            circuit.admit(now + pause - 0.01)
        now += pause
        circuit.admit(now)
        circuit.ran_out(now)


def test_a_try_that_was_given_up_lets_another_try() -> None:
    circuit = opened()
    circuit.admit(2)
    circuit.given_up()
    circuit.admit(2)


@given(st.lists(st.sampled_from(["answered", "ran out", "given up", "wait"]), max_size=60))
def test_a_circuit_never_stays_shut_for_good(steps: list[str]) -> None:
    circuit, now = Circuit("casework"), 0.0
    for step in steps:
        try:
            circuit.admit(now)
        except Unavailable:
            now += 0.7
            continue
        if step == "answered":
            circuit.answered()
        elif step == "ran out":
            circuit.ran_out(now)
        elif step == "given up":
            circuit.given_up()
        else:
            circuit.given_up()
            now += 0.7
    circuit.admit(now + 9)
    circuit.answered()
    circuit.admit(now + 9)


def test_one_service_takes_six_places_in_ten_and_all_together_no_more_than_there_are() -> None:
    calls = Calls([], {"casework": None, "analyzer": None, "collector": None}, at_once=10)  # type: ignore[dict-item]
    held = [calls.place("casework") for _ in range(6)]
    for place in held:
        place.__enter__()
    with pytest.raises(Unavailable) as refused:
        calls.check("casework")
    assert (refused.value.reason, refused.value.metadata) == ("TOO_MANY_REQUESTS", {"retry_after": "1"})
    others = [calls.place("analyzer") for _ in range(4)]
    for place in others:
        place.__enter__()
    with pytest.raises(Unavailable):
        calls.check("collector")
    others[0].__exit__(None, None, None)
    calls.check("collector")
