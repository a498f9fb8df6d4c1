"""When the messages of a group leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from huiyin_notifier.model.grouping import Group, Timing, admit, flush
from hypothesis import given
from hypothesis import strategies as st

PACE = Timing(wait=30, interval=300, repeat=0)


def test_the_first_of_a_group_waits_for_company() -> None:
    group, due = admit(None, 1000, PACE)
    assert due == 1030
    assert admit(group, 1029, PACE)[1] == 1030


def test_what_comes_within_group_interval_of_a_message_waits_for_its_end() -> None:
    group = flush(admit(None, 1000, PACE)[0], 1030)
    assert admit(group, 1031, PACE)[1] == 1330
    assert admit(group, 1329, PACE)[1] == 1330


def test_a_group_that_was_silent_for_group_interval_begins_anew() -> None:
    group = flush(admit(None, 1000, PACE)[0], 1030)
    assert admit(group, 1330, PACE)[1] == 1360


def test_what_was_said_already_waits_for_repeat_interval_and_holds_up_no_news() -> None:
    slow = Timing(wait=30, interval=300, repeat=5000)
    group, due = admit(None, 1000, slow, said=900)
    assert due == 5900
    assert admit(group, 1010, slow)[1] == 1040


@dataclass
class Simulation:
    """A group as the store keeps it: what waits with its moment, what left when."""

    group: Group | None = None
    waiting: dict[int, int] = field(default_factory=dict)
    left: list[tuple[int, list[int]]] = field(default_factory=list)

    def run_until(self, at: int) -> None:
        while self.group and self.waiting and (due := min(self.waiting.values())) <= at:
            leaving = sorted(item for item, moment in self.waiting.items() if moment <= due)
            self.left.append((due, leaving))
            for item in leaving:
                del self.waiting[item]
            self.group = flush(self.group, due)
            self.waiting = {item: max(moment, self.group.quiet_until) for item, moment in self.waiting.items()}


timings = st.builds(Timing, st.integers(0, 50), st.integers(0, 200), st.integers(0, 500))
arrivals = st.lists(st.tuples(st.integers(0, 60), st.none() | st.integers(0, 400)), max_size=30)


@given(timings, arrivals)
def test_each_notification_leaves_once_and_messages_keep_their_distance(
    timing: Timing, given_arrivals: list[tuple[int, int | None]]
) -> None:
    group = Simulation()
    now = 1000
    for number, (gap, said_before) in enumerate(given_arrivals):
        now += gap
        group.run_until(now)
        said = None if said_before is None else now - said_before
        group.group, group.waiting[number] = admit(group.group, now, timing, said)
        assert group.waiting[number] >= now
    group.run_until(10**9)
    assert sorted(item for _, items in group.left for item in items) == list(range(len(given_arrivals)))
    moments = [moment for moment, _ in group.left]
    assert all(later - earlier >= timing.interval for earlier, later in pairwise(moments))


@given(timings, st.lists(st.integers(0, 60), min_size=1, max_size=30))
def test_news_never_waits_longer_than_the_longer_of_wait_and_interval(timing: Timing, gaps: list[int]) -> None:
    group = Simulation()
    now, came = 1000, {}
    for number, gap in enumerate(gaps):
        now += gap
        group.run_until(now)
        came[number] = now
        group.group, group.waiting[number] = admit(group.group, now, timing)
    group.run_until(10**9)
    for moment, items in group.left:
        assert all(moment - came[item] <= max(timing.wait, timing.interval) for item in items)
