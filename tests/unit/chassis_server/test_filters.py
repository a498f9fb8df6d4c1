"""Filters, orders and pages of listings, run on a real SQLite."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path

import pytest
from huiyin.type.v1 import grade_pb2
from huiyin_chassis import paging
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.filters import (
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    number_field,
    parse_order,
    path_field,
    text_field,
    time_field,
)
from huiyin_chassis.paging import page, total
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Connection, Integer, MetaData, Table, Text, create_engine, select

ROWS = Table(
    "rows",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("title", Text),
    Column("case_id", Text),
    Column("place", Text),
    Column("grade", Integer),
    Column("drill", Boolean),
    Column("time", BigInteger),
)
FIELDS = {
    "title": text_field(ROWS.c.title),
    "case": name_field(ROWS.c.case_id, "cases"),
    "place": path_field(ROWS.c.place, "places"),
    "grade": enum_field(ROWS.c.grade, grade_pb2.Grade, "GRADE_"),
    "drill": boolean_field(ROWS.c.drill),
    "count": number_field(ROWS.c.id),
    "time": time_field(ROWS.c.time),
}
PLACES = ("", "A市", "A市.A3区", "A市.A3区.丽发新城", "A市2", "B市.A市")


@pytest.fixture(scope="module")
def connection() -> Connection:
    connection = create_engine("sqlite://").connect()
    ROWS.create(connection)
    rows = [
        {
            "id": number,
            "title": f"路灯{number}",
            "case_id": str(number % 3),
            "place": PLACES[number % len(PLACES)],
            "grade": number % 4 + 1,
            "drill": number % 5 == 0,
            "time": number * 1_000_000,
        }
        for number in range(60)
    ]
    connection.execute(ROWS.insert(), rows)
    return connection


def matched(connection: Connection, text: str) -> list[int]:
    return list(connection.scalars(select(ROWS.c.id).where(compile_filter(text, FIELDS)).order_by(ROWS.c.id)))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", lambda n: True),
        ("count < 3", lambda n: n < 3),
        ('case = "cases/1"', lambda n: n % 3 == 1),
        ("grade >= GRADE_SERIOUS", lambda n: n % 4 >= 2),
        ("grade = LARGE", lambda n: n % 4 == 1),
        ('place = "places/A市"', lambda n: n % 6 in (1, 2, 3)),
        ('place != "places/A市.A3区"', lambda n: n % 6 not in (2, 3)),
        ("NOT drill = true", lambda n: n % 5 != 0),
        ("-drill = true AND count < 10", lambda n: n % 5 != 0 and n < 10),
        ("count < 10 AND drill = true OR case = 1", lambda n: n < 10 and (n % 5 == 0 or n % 3 == 1)),
        ("(count < 10 AND drill = true) OR case = 1", lambda n: (n < 10 and n % 5 == 0) or n % 3 == 1),
        ('title = "路灯1*"', lambda n: str(n).startswith("1")),
        ("title : 9", lambda n: "9" in str(n)),
        ('time >= "1970-01-01T00:00:50Z"', lambda n: n >= 50),
        ("time < 1970-01-01T08:00:30+08:00 AND count > 9", lambda n: 9 < n < 30),
    ],
)
def test_a_filter_means_what_aip_160_says(connection: Connection, text: str, rule: object) -> None:
    assert callable(rule)
    assert matched(connection, text) == [number for number in range(60) if rule(number)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("author = 1", "'author': is not a field; choose of title, case"),
        ("grade = GRADE_HUGE", "choose one of GRADE_ORDINARY"),
        ("drill = maybe", "give true or false"),
        ("drill > true", "the operator > does not apply"),
        ("count <", "ends where a value is expected"),
        ('title = "abc', "close what is quoted"),
        ("count = 1 count = 2", "join comparisons by AND or OR"),
        ("(count = 1", "ends where a closing bracket is expected"),
        ('time < "yesterday"', "RFC 3339"),
        ("(" * 50 + "count = 1" + ")" * 50, "nested too deep"),
        ('title = "\x00"', "holds a NUL character"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        compile_filter(text, FIELDS)
    assert told in caught.value.message
    assert caught.value.violations[0].field == "filter"


SCRAPS = [
    "NOT",
    "-",
    "(",
    ")",
    "AND",
    "OR",
    "count",
    "title",
    "time",
    "=",
    "<",
    ":",
    '"',
    "1",
    "*",
    "路",
    "\\",
    "2026-01-01T",
]


@given(st.lists(st.sampled_from(SCRAPS), max_size=40).map(" ".join) | st.text(max_size=40))
@example("NOT " * 21)
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        compile_filter(text, FIELDS)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 70), order=st.sampled_from(["grade desc", "grade, time desc", "time"]))
def test_pages_give_every_row_once_in_order(connection: Connection, size: int, order: str) -> None:
    columns = [*parse_order(order, {"grade": ROWS.c.grade, "time": ROWS.c.time}, ""), (ROWS.c.id, False)]
    whole = page(connection, select(ROWS), columns, page_size=1000, page_token="").rows
    seen: list[int] = []
    token = ""
    while True:
        found = page(connection, select(ROWS), columns, page_size=size, page_token=token, binding=order)
        seen += [row.id for row in found.rows]
        token = found.next_page_token
        if not token:
            break
    assert seen == [row.id for row in whole]
    assert total(connection, select(ROWS)) == len(seen)


def token_of(connection: Connection, binding: str = "a") -> str:
    return page(
        connection, select(ROWS), [(ROWS.c.id, False)], page_size=5, page_token="", binding=binding
    ).next_page_token


def test_a_token_of_another_query_or_of_ones_own_making_is_refused(connection: Connection) -> None:
    token = token_of(connection)
    moved = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token + "==")[:16] + b"[40]").decode()
    for wrong in (token_of(connection, "b"), moved, "nonsense", "路", "AAAA", token[:-2]):
        with pytest.raises(InvalidArgument, match="page_token"):
            page(connection, select(ROWS), [(ROWS.c.id, False)], page_size=5, page_token=wrong, binding="a")


def test_tokens_hold_where_the_key_is_the_same(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(b"a private key")
    monkeypatch.setattr(paging, "_key", b"before")
    paging.use_key(key)
    token = token_of(connection)
    monkeypatch.setattr(paging, "_key", b"another process")
    with pytest.raises(InvalidArgument, match="page_token"):
        page(connection, select(ROWS), [(ROWS.c.id, False)], page_size=5, page_token=token, binding="a")
    paging.use_key(key)
    rows = page(connection, select(ROWS), [(ROWS.c.id, False)], page_size=5, page_token=token, binding="a").rows
    assert [row.id for row in rows] == [5, 6, 7, 8, 9]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="choose of grade"):
        parse_order("author", {"grade": ROWS.c.grade}, "grade")
