"""Times are read as people and spreadsheets write them, and nothing else is taken for a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.times import (
    EARLIEST,
    LEAD,
    find_published,
    is_plausible,
    load_zone,
    read_epoch,
    read_published,
    read_time,
)
from hypothesis import given
from hypothesis import strategies as st

SHANGHAI = ZoneInfo("Asia/Shanghai")
moments = st.datetimes(datetime(1991, 9, 16), datetime(2098, 1, 1)).map(lambda moment: moment.replace(microsecond=0))


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("2019/2/28 11:25:05", (2019, 2, 28, 11, 25, 5)),
        ("2020-01-09 9:01:02", (2020, 1, 9, 9, 1, 2)),
        ("2019年2月28日", (2019, 2, 28)),
        ("2019年2月28日 11时25分05秒", (2019, 2, 28, 11, 25, 5)),
        ("2019年2月28日11时", (2019, 2, 28, 11)),
        ("2019年2月28日 星期四 11:25", (2019, 2, 28, 11, 25)),
        ("2019.2.28 11:25", (2019, 2, 28, 11, 25)),
        ("２０１９／２／２８　１１：２５", (2019, 2, 28, 11, 25)),
        (" 2019-02-28\t下午 3:05 ", (2019, 2, 28, 15, 5)),
        ("2019/2/28 上午12:05", (2019, 2, 28, 0, 5)),
        ("2019/2/28 12:05:00 PM", (2019, 2, 28, 12, 5)),
        ("20190228", (2019, 2, 28)),
        ("20190228112505", (2019, 2, 28, 11, 25, 5)),
        (20190228, (2019, 2, 28)),
        (43524.47575231482, (2019, 2, 28, 11, 25, 5)),
        ("43524", (2019, 2, 28)),
        (date(2019, 2, 28), (2019, 2, 28)),
        (datetime(2019, 2, 28, 11, 25), (2019, 2, 28, 11, 25)),
    ],
)
def test_a_time_without_a_zone_is_local(written: object, local: tuple[int, int, int]) -> None:
    assert read_time(written, SHANGHAI) == datetime(*local, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    "written",
    [
        "2019-02-28T03:25:05Z",
        "2019-02-28T03:25:05.000000000+00:00",
        "2019-02-28T11:25:05+0800",
        "2019-02-28 11:25:05 +08",
        "2019-02-27T22:25:05-05:00",
        datetime(2019, 2, 28, 11, 25, 5, tzinfo=timezone(timedelta(hours=8))),
    ],
)
def test_a_zone_that_is_written_counts(written: object) -> None:
    assert read_time(written, ZoneInfo("America/New_York")) == datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "昨天",
            "3天前",
            "2/28/2019",
            "28.2.2019",
            "2019-02-30",
            "2019-13-01",
            "2019/2/28 25:00",
            "11:25:05",
            "",
            "19/2/28",
        ),
        *("1551324305", 1551324305, 1551324305000, 0, -1.5, float("nan"), float("inf"), True, None, timedelta(hours=3)),
    ],
)
def test_what_is_no_time_or_may_be_several_is_not_read(written: object) -> None:
    assert read_time(written, SHANGHAI) is None


@given(
    moments,
    st.sampled_from(
        ["%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y年%m月%d日 %H时%M分%S秒", "%Y.%m.%d %H:%M:%S", "%Y%m%d%H%M%S"]
    ),
)
def test_every_second_is_read_back_from_every_spelling(moment: datetime, spelling: str) -> None:
    assert read_time(moment.strftime(spelling), SHANGHAI) == moment.replace(tzinfo=SHANGHAI)


@given(moments)
def test_leading_zeros_do_not_matter(moment: datetime) -> None:
    bare = f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment.minute}:{moment.second}"
    assert read_time(bare, SHANGHAI) == moment.replace(tzinfo=SHANGHAI)


@given(moments)
def test_serial_days_of_a_workbook_mean_the_second_that_it_shows(moment: datetime) -> None:
    serial = (moment - datetime(1899, 12, 30)) / timedelta(days=1)
    assert read_time(serial, SHANGHAI) == moment.replace(tzinfo=SHANGHAI)


@given(st.text())
def test_any_text_is_read_or_not_but_never_breaks(text: str) -> None:
    found = read_time(text, SHANGHAI)
    assert found is None or found.tzinfo is UTC


def test_a_post_is_from_neither_before_its_medium_nor_years_ahead() -> None:
    collected = datetime(2026, 3, 1, tzinfo=UTC)
    assert is_plausible(EARLIEST, collected)
    assert is_plausible(collected + LEAD, collected)
    assert not is_plausible(EARLIEST - timedelta(seconds=1), collected)
    assert not is_plausible(collected + LEAD + timedelta(seconds=1), collected)


def test_a_zone_is_one_of_the_tz_database() -> None:
    assert load_zone("") == SHANGHAI
    for name in ("Mars/Olympus", "../etc/passwd", "Asia"):
        with pytest.raises(ValueError):
            load_zone(name)


# Times of pages, told from the moment of reading.

READ = datetime(2026, 3, 1, 9, 30, tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("2019年12月30日 14:05", (2019, 12, 30, 14, 5)),
        ("2019-12-30", (2019, 12, 30)),
        ("２０１９年１２月３０日　１４：０５", (2019, 12, 30, 14, 5)),
        ("二〇一九年十二月三十日", (2019, 12, 30)),
        ("二○二四年三月廿一日 8时5分", (2024, 3, 21, 8, 5)),
        ("2019-12-30T14:05:09+09:00", (2019, 12, 30, 13, 5, 9)),
        ("2019-12-30T14:05:00Z", (2019, 12, 30, 22, 5)),
        # Without a year: the last day of its name.
        ("2月28日", (2026, 2, 28)),
        ("12月30日 下午2:05", (2025, 12, 30, 14, 5)),
        ("12-30 14:05", (2025, 12, 30, 14, 5)),
        ("2月29日", (2024, 2, 29)),
        # Without a day: the last day that had it.
        ("08:10", (2026, 3, 1, 8, 10)),
        ("23:10", (2026, 2, 28, 23, 10)),
        ("刚刚", (2026, 3, 1, 9, 30)),
        ("5分钟前", (2026, 3, 1, 9, 25)),
        ("半小时前", (2026, 3, 1, 9, 0)),
        ("2 hours ago", (2026, 3, 1, 7, 30)),
        ("3天前", (2026, 2, 26, 9, 30)),
        ("两周前", (2026, 2, 15, 9, 30)),
        ("昨天 08:10", (2026, 2, 28, 8, 10)),
        ("昨晚8点", (2026, 2, 28, 20)),
        ("前天12:00", (2026, 2, 27, 12)),
        ("今天", (2026, 3, 1)),
        # A clock that is ahead, but never beyond the reading.
        ("2026-03-01 11:00", (2026, 3, 1, 9, 30)),
        ("今天 11:00", (2026, 3, 1, 9, 30)),
    ],
)
def test_what_a_page_says_of_its_time_is_read_from_when_it_is_read(written: str, local: tuple[int, int, int]) -> None:
    assert read_published(written, SHANGHAI, READ) == datetime(*local, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    "written", ["", "明天", "2099-01-01", "1980-01-01", "2月30日", "昨天25:00", "25:70", "10.5", "第3/4页", "3人前"]
)
def test_what_is_no_time_of_the_past_is_none(written: str) -> None:
    assert read_published(written, SHANGHAI, READ) is None


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("来源：镇政府　发布时间：2024-02-26 09:15　浏览次数：12", (2024, 2, 26, 9, 15)),
        ("[02-26] 关于停水的通知", (2026, 2, 26)),
        ("2024-02-26星期一", (2024, 2, 26)),
        ("日期:2024-02-26 09:15:30字号", (2024, 2, 26, 9, 15, 30)),
        ("共12条 3天前更新", (2026, 2, 26, 9, 30)),
    ],
)
def test_the_first_time_within_a_text_is_found(written: str, local: tuple[int, int, int]) -> None:
    assert find_published(written, SHANGHAI, READ) == datetime(*local, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    "written",
    ["0755-12345678", "10-20元", "192.168.10.12", "〔2024〕12号", "2024-2025年度", "1.5万元", "08:10", "3-5月"],
)
def test_what_only_looks_like_a_time_is_not_taken_out_of_a_text(written: str) -> None:
    assert find_published(written, SHANGHAI, READ) is None


@given(st.datetimes(datetime(1991, 9, 16), datetime(2035, 1, 1)), st.text(max_size=12))
def test_a_time_of_a_page_is_never_later_than_its_reading(moment: datetime, text: str) -> None:
    for written in (f"{moment:%Y-%m-%d %H:%M}", f"{moment:%m月%d日 %H:%M}", f"{moment:%H:%M}", text):
        for found in (read_published(written, SHANGHAI, READ), find_published(written, SHANGHAI, READ)):
            assert found is None or found <= READ
    exact = read_published(f"{moment:%Y年%m月%d日 %H时%M分}", SHANGHAI, READ)
    at = moment.replace(second=0, microsecond=0, tzinfo=SHANGHAI)
    assert exact == (at if at <= READ else exact)


@pytest.mark.parametrize("value", [1_708_910_100, 1_708_910_100_000, 1_708_910_100_000_000])
def test_seconds_since_1970_are_known_by_the_year_that_they_give(value: int) -> None:
    assert read_epoch(value, READ) == datetime(2024, 2, 26, 9, 15, tzinfo=SHANGHAI)


def test_no_number_is_a_time_that_gives_no_likely_year() -> None:
    assert [read_epoch(value, READ) for value in (0, 12, 9e18, -1.0, float("inf"))] == [None] * 5
