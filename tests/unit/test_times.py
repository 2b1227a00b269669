"""Times without loss of precision, and the ways in which people may type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtui.domain.times import (
    MAX_TICKS,
    TICKS_PER_SECOND,
    UNIX_EPOCH_TICKS,
    ago,
    clock_text,
    day_text,
    distance,
    duration_text,
    format_ticks,
    interpret,
    local_text,
    moment_text,
    now_ticks,
    parse_duration,
    parse_many,
    parse_ticks,
    since,
    to_datetime,
)
from tests import living_in

BERLIN, NEW_YORK, CAIRO = "Europe/Berlin", "America/New_York", "Africa/Cairo"
NOW_TEXT = "2026-11-20T09:15:03.9206151Z"
NOW = parse_ticks(NOW_TEXT)
SECOND, MINUTE, HOUR = TICKS_PER_SECOND, 60 * TICKS_PER_SECOND, 3600 * TICKS_PER_SECOND

moments = st.integers(0, MAX_TICKS)


@given(moments)
@example(0)
@example(MAX_TICKS)
def test_ticks_survive_a_round_trip_through_text(ticks: int) -> None:
    assert parse_ticks(format_ticks(ticks)) == ticks


@given(moments, st.integers(0, 7))
def test_any_number_of_fractional_digits_is_read_and_written_without_loss(ticks: int, digits: int) -> None:
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    whole = format_ticks(seconds * TICKS_PER_SECOND).removesuffix("Z")
    kept = f"{fraction:07d}"[:digits]
    text = f"{whole}.{kept}Z" if kept else f"{whole}Z"
    assert parse_ticks(text) == seconds * TICKS_PER_SECOND + int(kept.ljust(7, "0") or 0)
    written = f"{whole}.{kept.rstrip('0')}Z" if kept.rstrip("0") else f"{whole}Z"
    assert format_ticks(parse_ticks(text)) == written


@given(moments, moments)
def test_ticks_are_in_the_order_of_time_as_datetime_has_it(left: int, right: int) -> None:
    with living_in("UTC"):
        assert (left // 10 < right // 10) == (to_datetime(left) < to_datetime(right))


@given(st.datetimes(), st.integers(-14 * 60, 14 * 60))
def test_an_offset_means_what_it_means_to_datetime(wall: datetime, offset: int) -> None:
    sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
    text = f"{wall.isoformat()}{sign}{hours:02d}:{minutes:02d}"
    try:
        expected = datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        with pytest.raises(ValueError, match="between the years"):
            parse_ticks(text)
    else:
        with living_in("UTC"):
            assert to_datetime(parse_ticks(text)) == expected


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("0001-01-01T00:00:00Z", 0),
        ("9999-12-31T23:59:59.9999999Z", MAX_TICKS),
        ("1970-01-01T00:00:00Z", UNIX_EPOCH_TICKS),
        ("1970-01-01T01:00:00+01:00", UNIX_EPOCH_TICKS),
        ("1970-01-01T00:00Z", UNIX_EPOCH_TICKS),
        ("1970-01-01t00:00:00z", UNIX_EPOCH_TICKS),
        ("2025-09-05T23:06:55.0522341Z", 638927104150522341),
        ("2024-02-29T12:00:00Z", 638448048000000000),
    ],
)
def test_known_moments(text: str, ticks: int) -> None:
    assert parse_ticks(text) == ticks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "looks like"),
        ("String (timestamp)", "looks like"),
        ("2026-11-20T09:15:03", "with Z or an offset"),
        ("2026-11-20 09:15:03Z", "looks like"),
        ("2026-11-20", "looks like"),
        (" 2026-11-20T09:15:03Z", "looks like"),
        ("2026-11-20T09:15:03Z\n", "looks like"),
        ("2026-11-20T09:15:03,5Z", "looks like"),
        ("2026-11-20T09:15:03+0100", "looks like"),
        ("٢٠٢٦-١١-٢٠T٠٩:١٥:٠٣Z", "looks like"),
        ("12026-11-20T09:15:03Z", "looks like"),
        ("2026-11-20T09:15:03.12345678Z", "at most 7"),
        ("2026-02-29T00:00:00Z", "no day 2026-02-29"),
        ("2026-13-01T00:00:00Z", "no day 2026-13-01"),
        ("0000-01-01T00:00:00Z", "no day 0000-01-01"),
        ("2026-11-20T24:00:00Z", "00 to 23"),
        ("2026-11-20T23:60:00Z", "00 to 59"),
        ("2026-11-20T23:59:60Z", "00 to 59"),
        ("2026-11-20T09:15:03+14:01", "between -14:00 and"),
        ("2026-11-20T09:15:03+00:60", "between -14:00 and"),
        ("0001-01-01T00:00:00+00:01", "between the years"),
        ("9999-12-31T23:59:59-00:01", "between the years"),
    ],
)
def test_text_that_is_no_date_time_is_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        parse_ticks(text)
    assert str(refused.value).endswith(".")


@given(
    st.lists(moments.map(format_ticks)), st.integers(0, 28), st.sampled_from("0369-+:.,_ TtZz\nW²٣") | st.characters()
)
@example(["2026-10-48T09:15:03.9206151Z"], 5, "W")
@example(["2026-11-20T09:15:03.9206151Z"], 11, "+")
@example(["2026-11-20T20:00:00.0Z"], 12, "4")
@example(["2026-11-20T09:15:03Z", "2026-11-20T09:15:03Z2026-11-20T09:15:03Z"], 20, "\n")
def test_many_texts_are_read_as_each_of_them(texts: list[str], place: int, odd: str) -> None:
    def ticks(text: str) -> int:
        try:
            return parse_ticks(text)
        except ValueError:
            return -1

    bent = [*texts[:-1], *(text[:place] + odd + text[place + 1 :] for text in texts[-1:])]
    for read in (texts, bent):
        assert parse_many(read, -1) == [ticks(text) for text in read]


@given(st.text())
def test_no_text_makes_reading_fail_in_another_way(text: str) -> None:
    for read in (parse_ticks, parse_duration, lambda typed: parse_ticks(interpret(typed, NOW))):
        try:
            read(text)
        except ValueError as error:
            assert str(error).endswith(".")  # noqa: PT017 - most texts are refused, a few are not


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("45s", 45 * SECOND),
        ("90m", 90 * MINUTE),
        ("2h", 2 * HOUR),
        ("3d", 72 * HOUR),
        ("1w", 168 * HOUR),
        ("1d12h", 36 * HOUR),
        ("0s", 0),
    ],
)
def test_durations(text: str, ticks: int) -> None:
    assert parse_duration(text) == ticks


@pytest.mark.parametrize("text", ["", "h", "2", "2 h", "-2h", "1.5h", "2y", "2H", "٢h", "1" * 5000 + "h"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="A duration is a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("2026-11-20T09:15:03.9206151Z", "2026-11-20T09:15:03.9206151Z"),
        ("2026-11-20T09:15:03.9200000Z", "2026-11-20T09:15:03.9200000Z"),
        ("2026-11-20T10:15:03.5+01:00", "2026-11-20T10:15:03.5+01:00"),
        ("  2026-11-20t09:15:03z\n", "2026-11-20T09:15:03Z"),
        ("2026-11-20 10:15:03+01:00", "2026-11-20T10:15:03+01:00"),
        ("2026-11-20T09:15Z", "2026-11-20T09:15:00Z"),
        ("2026-11-20 10:15+01:00", "2026-11-20T10:15:00+01:00"),
        ("now", "2026-11-20T09:15:03Z"),
        ("NOW", "2026-11-20T09:15:03Z"),
        ("-2h", "2026-11-20T07:15:03Z"),
        ("- 2h", "2026-11-20T07:15:03Z"),
        ("now -90m", "2026-11-20T07:45:03Z"),
        ("now+1d12h", "2026-11-21T21:15:03Z"),
        ("+1w", "2026-11-27T09:15:03Z"),
        ("today", "2026-11-19T23:00:00Z"),
        ("yesterday 23:30", "2026-11-19T22:30:00Z"),
        ("tomorrow 09:00", "2026-11-21T08:00:00Z"),
        ("Tomorrow T9:00:30", "2026-11-21T08:00:30Z"),
        ("2026-11-20", "2026-11-19T23:00:00Z"),
        ("2026-11-20 09:00", "2026-11-20T08:00:00Z"),
        ("2026-11-20T09:00:01", "2026-11-20T08:00:01Z"),
        ("2026-07-01 09:00", "2026-07-01T07:00:00Z"),
    ],
)
def test_typed_date_times(typed: str, sent: str) -> None:
    with living_in(BERLIN):
        assert interpret(typed, NOW) == sent
    parse_ticks(sent)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "Type a date-time such as"),
        ("soon", "Type a date-time such as"),
        ("[@click=app.quit]x", "Type a date-time such as"),
        ("\x1b[2J", "Type a date-time such as"),
        ("20.11.2026", "Type a date-time such as"),
        ("-2 fortnights", "Type a date-time such as"),
        ("-2y", "A duration is a number and a unit"),
        ("-999999w", "between the years"),
        ("+999999w", "between the years"),
        ("tomorrow 25:00", "00 to 23"),
        ("2026-02-30", "no day 2026-02-30"),
        ("2026-02-30 09:00", "no day 2026-02-30"),
        ("2026-11-20 09:61", "00 to 59"),
        ("2026-11-20T09:15:03.5", "needs Z or an offset"),
        ("2026-11-20T09:15:03.12345678Z", "at most 7"),
        ("0001-01-01", "between the years"),
    ],
)
def test_typed_text_that_is_no_date_time_is_refused(typed: str, says: str) -> None:
    with living_in(BERLIN), pytest.raises(ValueError, match=says) as refused:
        interpret(typed, NOW)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("typed", "zone", "says"),
    [
        ("2026-03-29 02:30", BERLIN, "The clocks skip 02:30 on 2026-03-29"),
        ("2026-10-25 02:30", BERLIN, "02:30 comes twice on 2026-10-25"),
        ("2026-03-08 02:00", NEW_YORK, "The clocks skip 02:00 on 2026-03-08"),
        ("2026-11-01 01:59:59", NEW_YORK, "01:59 comes twice on 2026-11-01"),
        ("2026-04-24 00:00", CAIRO, "The clocks skip 00:00 on 2026-04-24"),
    ],
)
def test_an_hour_that_the_clocks_skip_or_show_twice_is_refused_and_the_way_out_is_named(
    typed: str, zone: str, says: str
) -> None:
    with living_in(zone), pytest.raises(ValueError, match=says) as refused:
        interpret(typed, NOW)
    assert "with an offset" in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "zone", "sent"),
    [
        ("2026-03-29 01:59", BERLIN, "2026-03-29T00:59:00Z"),
        ("2026-03-29 03:00", BERLIN, "2026-03-29T01:00:00Z"),
        ("2026-10-25 01:59", BERLIN, "2026-10-24T23:59:00Z"),
        ("2026-10-25 03:00", BERLIN, "2026-10-25T02:00:00Z"),
        ("2026-04-24", CAIRO, "2026-04-23T22:00:00Z"),
        ("2026-11-20 12:00", "Asia/Kathmandu", "2026-11-20T06:15:00Z"),
    ],
)
def test_around_a_change_of_the_clocks_the_moment_is_exact(typed: str, zone: str, sent: str) -> None:
    with living_in(zone):
        assert interpret(typed, NOW) == sent


@given(
    st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2100-01-01")),
    st.sampled_from([BERLIN, NEW_YORK, CAIRO, "Australia/Lord_Howe", "Pacific/Apia"]),
)
def test_a_wall_clock_is_read_back_as_typed_or_refused(wall: datetime, zone: str) -> None:
    typed = wall.replace(microsecond=0).isoformat(sep=" ")
    with living_in(zone):
        try:
            sent = interpret(typed, NOW)
        except ValueError as error:
            assert "clocks skip" in str(error) or "comes twice" in str(error)  # noqa: PT017 - most are not refused
        else:
            assert to_datetime(parse_ticks(sent)).replace(tzinfo=None).isoformat(sep=" ") == typed


@given(moments)
def test_a_full_date_time_is_sent_as_typed(ticks: int) -> None:
    text = format_ticks(ticks)
    assert interpret(text, NOW) == text


def test_a_moment_is_shown_in_the_local_zone() -> None:
    with living_in(NEW_YORK):
        assert local_text(NOW) == "2026-11-20 04:15:03-05:00"
        assert moment_text(NOW, NOW) == "20 Nov 04:15 -05:00"
        assert interpret(local_text(NOW), NOW) == "2026-11-20T04:15:03-05:00", "what is shown can be typed"
        assert local_text(0) == "0001-01-01T00:00:00Z", "a moment that is off the local calendar is shown in UTC"


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "0s ago"),
        (SECOND - 1, "0s ago"),
        (59 * SECOND, "59s ago"),
        (60 * SECOND, "1m ago"),
        (HOUR - 1, "59m ago"),
        (HOUR, "1h ago"),
        (47 * HOUR, "47h ago"),
        (48 * HOUR, "2d ago"),
        (400 * 24 * HOUR, "400d ago"),
        (-4 * MINUTE, "in 4m"),
        (-30 * HOUR, "in 30h"),
    ],
)
def test_relative_times_have_one_unit(length: int, words: str) -> None:
    assert ago(NOW - length, NOW) == words


def test_no_real_time_equals_the_value_for_no_time() -> None:
    assert {ago(0, now_ticks()), since(0, now_ticks()), distance(0, now_ticks(), is_recorded=True)} == {"never"}


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (-2 * SECOND, "2s ago"),
        (0, "0s ago"),
        (1, "now"),
        (49 * SECOND, "now"),
        (5 * MINUTE, "now"),
        (6 * MINUTE, "in 6m"),
    ],
)
def test_a_clock_that_is_a_little_ahead_puts_nothing_into_the_future(ahead: int, words: str) -> None:
    assert since(NOW + ahead, NOW) == words


@pytest.mark.parametrize(
    ("ticks", "words"),
    [
        (-1, "0s"),
        (41 * SECOND, "41s"),
        (277 * SECOND, "4m 37s"),
        (2 * HOUR + 5 * MINUTE, "2h 05m"),
        (76 * HOUR, "3d 04h"),
    ],
)
def test_lengths_in_two_units(ticks: int, words: str) -> None:
    assert duration_text(ticks) == words


def test_now_is_between_two_readings_of_the_system_clock() -> None:
    before = datetime.now(UTC) - timedelta(microseconds=1)
    read = to_datetime(now_ticks())
    assert before <= read <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-20T09:15:03Z", "20 Nov 09:15 UTC"),
        ("2026-01-02T23:59:59.9999999Z", "2 Jan 23:59 UTC"),
        ("2025-12-31T00:00:00Z", "31 Dec 2025 00:00 UTC"),
        ("9999-12-31T23:59:59Z", "31 Dec 9999 23:59 UTC"),
    ],
)
def test_a_moment_is_reported_with_its_year_where_that_is_another_one(moment: str, text: str) -> None:
    with living_in("UTC"):
        assert moment_text(parse_ticks(moment), parse_ticks("2026-11-20T09:15:03Z")) == text


def test_a_moment_beside_others_is_a_time_today_and_has_its_day_before() -> None:
    now = datetime(2026, 11, 20, 12, 0).astimezone()
    assert clock_text(now.replace(hour=9, minute=5), now) == "09:05"
    assert clock_text(now.replace(day=3), now) == "3 Nov 12:00"
    assert clock_text(now.replace(year=2025), now) == "20 Nov 2025"
    assert day_text(now.date()) == "Fri 20 Nov"
