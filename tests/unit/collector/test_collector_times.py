"""Times are read as people and spreadsheets write them, and nothing else is taken for a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.times import EARLIEST, LEAD, is_plausible, load_zone, read_time
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
