"""An error crosses the wire whole, or as much of it as gRPC carries."""

from __future__ import annotations

from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound, from_status, to_status


def test_an_error_comes_back_as_it_was() -> None:
    error = NotFound("cases/1")
    back = from_status(to_status(error))
    assert isinstance(back, NotFound)
    assert (back.reason, back.message, back.metadata) == (error.reason, error.message, error.metadata)


def test_of_very_many_violations_the_first_come_through_and_the_status_stays_below_what_peers_take() -> None:
    long = "这一项太长了，" * 2000
    violations = [FieldViolation(f"posts[{index}].{'x' * 500}", long, "TOO_LONG") for index in range(1000)]
    error = InvalidArgument.of(violations)
    error.metadata["name"] = long
    status = to_status(error)
    assert status.ByteSize() + len(status.message.encode()) * 3 < 16_000
    back = from_status(status)
    assert back.violations and back.violations[0].field.startswith("posts[0].")
    assert back.violations[0].description.endswith("…")
    short = InvalidArgument.of([FieldViolation(f"posts[{index}].text", "is required") for index in range(40)])
    assert len(from_status(to_status(short)).violations) == 40
