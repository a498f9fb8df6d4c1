"""Who is told of what: the routes policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huiyin_notifier
import pytest
import yaml
from huiyin_notifier.model.grouping import Timing
from huiyin_notifier.model.happenings import CASE_STATES, GRADES, KINDS, Happening
from huiyin_notifier.model.routes import PolicyError, Routes, parse
from hypothesis import given
from hypothesis import strategies as st

DEFAULT = Path(huiyin_notifier.__file__).parent / "data" / "routes.yaml"
RECEIVERS = [{"id": name, "channel": "log"} for name in ("a", "b", "c")]


def routes_of(route: dict[str, Any]) -> Routes:
    return parse(yaml.safe_dump({"receivers": RECEIVERS, "route": route}, allow_unicode=True))


def receivers_of(route: dict[str, Any], happening: Happening) -> list[str | None]:
    return [taker.receiver for taker in routes_of(route).takers(happening)]


def opened(**fields: Any) -> Happening:
    return Happening("case.opened", "cases/1", 1, "cases/1", **fields)


def test_what_matches_no_route_goes_to_the_root() -> None:
    route = {"receiver": "a", "routes": [{"match": {"kind": "case.assigned"}, "receiver": "b"}]}
    assert receivers_of(route, opened()) == ["a"]


def test_without_a_receiver_it_is_dropped() -> None:
    assert receivers_of({"routes": [{"match": {"kind": "case.assigned"}, "receiver": "b"}]}, opened()) == []
    assert receivers_of({"receiver": "a", "routes": [{"match": {"kind": "case.*"}, "receiver": None}]}, opened()) == []


def test_the_first_match_takes_it_unless_it_says_continue() -> None:
    first = {"match": {"kind": "case.*"}, "receiver": "a"}
    second = {"match": {"kind": "case.opened"}, "receiver": "b"}
    assert receivers_of({"routes": [first, second]}, opened()) == ["a"]
    assert receivers_of({"routes": [first | {"continue": True}, second]}, opened()) == ["a", "b"]


def test_a_receiver_reached_twice_is_told_once() -> None:
    twice = {"match": {"kind": "case.opened"}, "receiver": "a", "continue": True}
    assert receivers_of({"routes": [twice, twice]}, opened()) == ["a"]


def test_routes_inherit_what_they_leave_out() -> None:
    child = {"match": {"grade": "LARGE"}, "group_wait": "0s"}
    root = {"receiver": "a", "group_by": ["topic"], "group_interval": "1h30m", "repeat_interval": "1d"}
    (taker,) = routes_of(root | {"routes": [child]}).takers(opened(grade="LARGE", topic="topics/x"))
    assert (taker.receiver, taker.group_by) == ("a", ("topic",))
    assert taker.timing == Timing(0, 5_400_000_000, 86_400_000_000)


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ({"grade": ["LARGE", "SERIOUS"]}, True),
        ({"grade": "SERIOUS"}, False),
        ({"unit": "units/housing"}, True),
        ({"unit": "units/hous"}, False),
        ({"topic": "topics/城乡建设"}, True),
        ({"topic": "topics/城乡"}, False),
        ({"state": ["ASSIGNED", "REGISTERED"]}, True),
        ({"drill": True}, False),
        ({"drill": False, "kind": ["task.*", "case.opened"]}, True),
    ],
)
def test_a_match_compares_every_field_that_it_names(match: dict[str, Any], taken: bool) -> None:
    happening = opened(grade="LARGE", unit="units/housing", topic="topics/城乡建设.安全生产", state="REGISTERED")
    assert receivers_of({"routes": [{"match": match, "receiver": "a"}]}, happening) == ["a"] * taken


def test_a_clock_reaches_the_unit_that_is_waited_for_and_the_unit_above_it() -> None:
    late = Happening("clock.supervision", "clocks/1", 3, "cases/1", "units/water", supervisor="units/housing")
    own = {"match": {"kind": "clock.*", "unit": "units/water"}, "receiver": "a", "continue": True}
    above = {"match": {"kind": "clock.supervision", "supervisor": "units/housing"}, "receiver": "b"}
    other = {"match": {"supervisor": "units/roads"}, "receiver": "c"}
    assert receivers_of({"routes": [own, other, above]}, late) == ["a", "b"]
    (taker,) = routes_of({"receiver": "a", "group_by": ["supervisor"]}).takers(late)
    assert taker.group_of(late) == "supervisor=units/housing"


def test_the_group_is_named_by_the_values_of_group_by() -> None:
    (taker,) = routes_of({"receiver": "a", "group_by": ["grade", "unit"]}).takers(opened(unit="units/desk"))
    assert taker.group_of(opened(unit="units/desk", grade="LARGE")) == "grade=GRADE_LARGE unit=units/desk"


def test_every_mistake_is_named_by_its_place_with_a_remedy() -> None:
    body = """
receivers:
  - {id: Duty, channel: pigeon}
  - {id: hook, channel: webhook, url: "ftp://example.org"}
  - {id: near, channel: webhook, url: "json://127.0.0.1:9000/x", headers: {"X Y": "1", Token: 5}}
  - {id: near, channel: log, url: "json://example.org"}
route:
  match: {kind: case.opened}
  receiver: nobody
  group_wait: 30
  group_by: [author]
  routes:
    - match: {kind: [case.vanished, mail.*], grade: HUGE, unit: housing, author: x}
    - {}
    - 7
"""
    with pytest.raises(PolicyError) as caught:
        parse(body)
    assert [problem.path for problem in caught.value.problems] == [
        "receivers[0].id",
        "receivers[0].channel",
        "receivers[1].url",
        "receivers[2].url",
        "receivers[2].headers",
        "receivers[2].headers.Token",
        "receivers[3].url",
        "receivers[3].id",
        "route.match",
        "route.group_wait",
        "route.receiver",
        "route.group_by",
        "route.routes[0].match.author",
        "route.routes[0].match.kind",
        "route.routes[0].match.kind",
        "route.routes[0].match.grade",
        "route.routes[0].match.unit",
        "route.routes[1].match",
        "route.routes[2]",
    ]
    assert all(problem.sentence for problem in caught.value.problems)


@pytest.mark.parametrize("body", ["", "[]", "receivers: {", "receivers: []\nroute: x", "a: &a [*a]"])
def test_what_is_no_policy_at_all_is_refused(body: str) -> None:
    with pytest.raises(PolicyError):
        parse(body)


def test_a_tree_that_aliases_blow_up_is_refused() -> None:
    levels = "".join(f"l{n}: &l{n} {{match: {{drill: true}}, routes: [{f'*l{n - 1}, ' * 9}]}}\n" for n in range(1, 9))
    body = f"l0: &l0 {{match: {{drill: true}}}}\n{levels}receivers: [{{id: a, channel: log}}]\nroute: {{routes: [*l8]}}"
    with pytest.raises(PolicyError, match="more than 500 routes"):
        parse(body)


def test_the_packaged_policy_is_right_and_keeps_ordinary_cases_quiet() -> None:
    routes = parse(DEFAULT.read_text("utf-8"))
    ordinary = opened(grade="ORDINARY", state="REGISTERED")
    assert routes.takers(ordinary) == []
    joined = Happening("case.inquiry_joined", "cases/1", 2, "cases/1", grade="LARGE", state="REGISTERED")
    assert routes.takers(joined) == []
    for grade in ("LARGE", "SERIOUS", "ESPECIALLY_SERIOUS"):
        assert [taker.receiver for taker in routes.takers(opened(grade=grade))] == ["duty"]
    for kind, group in (("reminder", "unit=units/a"), ("supervision", "supervisor=units/b"), ("circular", "")):
        late = Happening(f"clock.{kind}", "clocks/1", 1, "cases/1", "units/a", supervisor="units/b")
        (taker,) = routes.takers(late)
        assert taker.group_of(late) == group


# The tree as a reader of the document would walk it, to compare with.

matches = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from([*KINDS, "case.*", "task.*"]),
        "grade": st.lists(st.sampled_from(list(GRADES)), min_size=1, max_size=3),
        "unit": st.sampled_from(["units/1", "units/2"]),
        "state": st.sampled_from(CASE_STATES),
        "drill": st.booleans(),
    },
).filter(bool)
receivers = st.sampled_from(["a", "b", "c", None])
trees = st.recursive(
    st.fixed_dictionaries({"match": matches}, optional={"receiver": receivers, "continue": st.booleans()}),
    lambda children: st.fixed_dictionaries(
        {"match": matches, "routes": st.lists(children, max_size=3)},
        optional={"receiver": receivers, "continue": st.booleans()},
    ),
    max_leaves=12,
)
happenings = st.builds(
    Happening,
    kind=st.sampled_from(list(KINDS)),
    name=st.just("cases/1"),
    revision=st.just(1),
    unit=st.sampled_from(["", "units/1", "units/2"]),
    grade=st.sampled_from(["", *GRADES]),
    state=st.sampled_from(["", *CASE_STATES]),
    drill=st.booleans(),
)


def matches_by_the_document(match: dict[str, Any], happening: Happening) -> bool:
    for name, wanted in match.items():
        value = getattr(happening, name)
        values = wanted if isinstance(wanted, list) else [wanted]
        if not any(value == one or (str(one).endswith(".*") and value.startswith(one[:-1])) for one in values):
            return False
    return True


def takers_by_the_document(node: dict[str, Any], inherited: str | None, happening: Happening) -> list[str]:
    receiver = node.get("receiver", inherited)
    found: list[str] = []
    matched = False
    for child in node.get("routes", []):
        if matches_by_the_document(child["match"], happening):
            matched = True
            found += takers_by_the_document(child, receiver, happening)
            if not child.get("continue", False):
                break
    return found if matched or receiver is None else [receiver]


@given(st.lists(trees, max_size=4), receivers, happenings)
def test_every_happening_reaches_exactly_the_receivers_that_the_tree_names(
    children: list[dict[str, Any]], receiver: str | None, happening: Happening
) -> None:
    root = {"receiver": receiver, "routes": children}
    routes = routes_of(root)
    expected = list(dict.fromkeys(takers_by_the_document(root, None, happening)))
    assert [taker.receiver for taker in routes.takers(happening)] == expected
    if expected:
        assert happening.kind in routes.kinds()
