"""When a group's messages leave, as in Alertmanager: after group_wait first, then every group_interval with news.

All times are microseconds since the epoch, all durations microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The pace of a route."""

    wait: int
    """How long the first notification of a group waits for company."""
    interval: int
    """How long after a message the next one of the same group may leave."""
    repeat: int
    """How long after a message the same thing may be said again."""


@dataclass(frozen=True, slots=True)
class Group:
    """What is known of a group between its notifications."""

    interval: int
    due: int | None = None
    """When its next message leaves; None while nothing new waits."""
    quiet_until: int = 0
    """No message before that moment: the last one's plus group_interval."""


def admit(group: Group | None, at: int, timing: Timing, said: int | None = None) -> tuple[Group, int]:
    """The group after a notification came in at a moment, and when that notification may leave.

    `said`: when the same thing was last said to the same receiver. What is said again waits for repeat_interval by
    itself, without holding up the news of its group.
    """
    group = Group(timing.interval) if group is None else group
    if group.due is not None:
        due = group.due
    elif at < group.quiet_until:
        due = group.quiet_until
    else:
        due = at + timing.wait
    held_until = said + timing.repeat if said is not None else 0
    if held_until > due:
        return Group(timing.interval, group.due, group.quiet_until), held_until
    return Group(timing.interval, due, group.quiet_until), due


def flush(group: Group, at: int) -> Group:
    """The group after its message was made at a moment. What still waits must wait until `quiet_until` at least."""
    return Group(group.interval, None, at + group.interval)
