"""Times that a text names, as intervals; what may mean several is left out."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from huiyin_analyzer.model.signs import Harm
from huiyin_analyzer.model.times import times_in
from huiyin_analyzer.model.urgency import Urgency, When, urgency, when
from hypothesis import given
from hypothesis import strategies as st

ZONE = ZoneInfo("Asia/Shanghai")
WEDNESDAY = datetime(2020, 1, 8, 10, 30, tzinfo=ZONE)
DAYS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 12, 31)).map(lambda moment: moment.replace(tzinfo=ZONE))


def told(text: str, published: datetime | None = WEDNESDAY) -> list[tuple[str, str, str]]:
    """(words, start, end) as written."""
    return [
        (time.text, f"{time.start:%Y-%m-%d %H:%M}", f"{time.end:%Y-%m-%d %H:%M}")
        for time in times_in(text, published, ZONE)
        if time.start
    ]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("昨天", "2020-01-07 00:00", "2020-01-08 00:00"),
        ("昨天晚上", "2020-01-07 18:00", "2020-01-08 00:00"),
        ("昨晚", "2020-01-07 18:00", "2020-01-08 00:00"),
        ("今天下午3点半", "2020-01-08 15:30", "2020-01-08 15:31"),
        ("1月3日下午三点", "2020-01-03 15:00", "2020-01-03 16:00"),
        ("今天中午12点", "2020-01-08 12:00", "2020-01-08 13:00"),
        ("今天晚上12点", "2020-01-09 00:00", "2020-01-09 01:00"),
        ("今天15点", "2020-01-08 15:00", "2020-01-08 16:00"),
        ("前天8:30", "2020-01-06 08:30", "2020-01-06 08:31"),
        ("3月5日22点到凌晨2点", "2020-03-05 22:00", "2020-03-06 02:00"),
        ("昨晚10点到第二天凌晨2点", "2020-01-07 22:00", "2020-01-08 02:00"),
        ("今晚8点到10点", "2020-01-08 20:00", "2020-01-08 22:00"),
        ("昨天8:30-11:45", "2020-01-07 08:30", "2020-01-07 11:45"),
        ("12月30日至1月3日", "2019-12-30 00:00", "2020-01-04 00:00"),
        ("12月5日到8日", "2019-12-05 00:00", "2019-12-09 00:00"),
        ("2017年11月到2018年7月", "2017-11-01 00:00", "2018-08-01 00:00"),
        ("上周三", "2020-01-01 00:00", "2020-01-02 00:00"),
        ("这周日", "2020-01-12 00:00", "2020-01-13 00:00"),
        ("上星期", "2019-12-30 00:00", "2020-01-06 00:00"),
        ("上个月", "2019-12-01 00:00", "2020-01-01 00:00"),
        ("上个月15号", "2019-12-15 00:00", "2019-12-16 00:00"),
        ("去年12月", "2019-12-01 00:00", "2020-01-01 00:00"),
        ("去年", "2019-01-01 00:00", "2020-01-01 00:00"),
        ("18年8月份", "2018-08-01 00:00", "2018-09-01 00:00"),
        ("2019年上半年", "2019-01-01 00:00", "2019-07-01 00:00"),
        ("2019年下半年", "2019-07-01 00:00", "2020-01-01 00:00"),
        ("去年十月中旬", "2019-10-11 00:00", "2019-10-21 00:00"),
        ("2019年12月30日 14:05", "2019-12-30 14:05", "2019-12-30 14:06"),
        ("2019-12-30", "2019-12-30 00:00", "2019-12-31 00:00"),
        ("２０１９年１２月３０日", "2019-12-30 00:00", "2019-12-31 00:00"),
        ("三天前", "2020-01-05 00:00", "2020-01-06 00:00"),
        ("明天上午", "2020-01-09 06:00", "2020-01-09 12:00"),
        ("2018年至今", "2018-01-01 00:00", "2020-01-08 10:30"),
        ("昨天下午3点20", "2020-01-07 15:20", "2020-01-07 15:21"),
        ("昨天下午3点二十分", "2020-01-07 15:20", "2020-01-07 15:21"),
        ("昨天下午3点4、", "2020-01-07 15:00", "2020-01-07 16:00"),
        ("昨天3点", "2020-01-07 00:00", "2020-01-08 00:00"),
    ],
)
def test_a_time_is_an_interval(text: str, start: str, end: str) -> None:
    ((_, *found),) = told(f"小区{text}停水")
    assert found == [start, end]


@pytest.mark.parametrize(
    "text",
    [
        "3点",
        "周三",
        "5号",
        "晚上10点",
        "8月3日",  # half a year away: of the last year or of this one
        "2019年12月底",
        "去年年底",
        "12月10日前",
        "2019年以后",
        "2月30日",
        "18年",
        "3个月",
        "已有5月之久",
        "5号楼",
        "最近",
        "明后年",
        "改革开放的今天",
        "一天天",
        "2018年3月6日生病，12月5日结算",  # of 2018, or of the year of the post
        "028-1234-5678",
        "2004年，11月7日",
    ],
)
def test_what_may_mean_several_times_is_left_out(text: str) -> None:
    rest = [words for words, *_ in told(f"小区{text}停水") if words not in ("2018年3月6日", "2004年")]
    assert rest == []


@pytest.mark.parametrize("text", ["每天早上6点", "每周一至周五早上七点半", "每天凌晨2点到6点", "每晚", "每月15号"])
def test_what_recurs_has_no_interval(text: str) -> None:
    (found,) = times_in(f"他们{text}施工", WEDNESDAY, ZONE)
    assert found.recurring and found.text == text and found.start is None


def test_without_a_time_of_publication_only_whole_dates_are_read() -> None:
    assert [words for words, *_ in told("昨天、3月5日、去年、2019年3月5日、2018年", None)] == ["2019年3月5日", "2018年"]


def test_times_come_in_order_with_where_they_stand() -> None:
    text = "昨天停水，今天下午又停，上周三也停过"
    found = times_in(text, WEDNESDAY, ZONE)
    assert [text[time.at : time.at + len(time.text)] for time in found] == ["昨天", "今天下午", "上周三"]


@given(DAYS, st.sampled_from(["%Y年%m月%d日", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d"]))
def test_a_whole_date_is_its_day_whenever_it_was_written(day: datetime, form: str) -> None:
    (found,) = times_in(f"于{day:{form}}报修", WEDNESDAY, ZONE)
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    assert (found.start, found.end) == (midnight, midnight + timedelta(days=1))


@given(
    DAYS,
    st.integers(-1500, 1500),
    st.sampled_from(["昨天晚上", "今天15点", "前天", "上周三", "三天前", "今晚8点到10点"]),
)
def test_what_is_told_from_the_day_of_publication_moves_with_it(day: datetime, weeks: int, text: str) -> None:
    moved = day + timedelta(weeks=weeks)
    (one,), (other,) = times_in(text, day, ZONE), times_in(text, moved, ZONE)
    assert one.start and one.end and other.start and other.end
    assert other.start - one.start == other.end - one.end == timedelta(weeks=weeks)


@given(
    st.text(max_size=80) | st.text("0123456789年月日号点半上下前去今昨每天周至到-:：一二三十 ", max_size=40),
    st.none() | DAYS,
)
def test_reading_never_fails_and_intervals_have_a_length(text: str, published: datetime | None) -> None:
    for time in times_in(text, published, ZONE):
        assert time.recurring or (time.start and time.end and time.start < time.end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("正在漏水", When.NOW),
        ("今天停水", When.NOW),
        ("昨天停水", When.NOW),
        ("停水", When.OPEN),
        ("2018年3月停水", When.PAST),
        ("2018年3月停水，昨天又停", When.NOW),
        ("去年停水", When.OPEN),
    ],
)
def test_when_a_harm_is(text: str, expected: When) -> None:
    assert when(times_in(text, WEDNESDAY, ZONE), text, WEDNESDAY) is expected


def test_urgency_is_that_of_the_gravest_harm() -> None:
    assert urgency(Harm.LIFE | Harm.PROPERTY, When.NOW) is Urgency.IMMEDIATE
    assert urgency(Harm.PROPERTY, When.NOW) is Urgency.SOON
    assert urgency(Harm.NONE, When.NOW) is Urgency.ROUTINE


@given(st.sampled_from(list(When)), st.integers(0, 15), st.integers(0, 15))
def test_more_harm_and_nearer_harm_are_never_less_urgent(at: When, some: int, more: int) -> None:
    assert urgency(Harm(some | more), at) >= urgency(Harm(some), at)
    assert urgency(Harm(some), When.NOW) >= urgency(Harm(some), at) >= urgency(Harm(some), When.PAST)
