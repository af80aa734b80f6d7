"""Times: milliseconds inside, RFC 3339 outside, RFC 2822 from Twilio."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema_strategies import times_ms
from schemas.times import parse_rfc2822, parse_rfc3339, rfc3339


@given(times_ms)
def test_no_millisecond_is_lost(at_ms: int) -> None:
    """A time is read as it was written, to the millisecond, to the end of the year 9999."""
    text = rfc3339(at_ms)

    assert parse_rfc3339(text) == at_ms
    assert text.endswith("Z")
    assert len(text) == len("2026-11-21T10:00:00.000Z")


@given(times_ms, times_ms)
def test_written_times_sort_as_times_do(one_ms: int, other_ms: int) -> None:
    """Texts of times compare as the times do, so that logs and lists can be sorted as text."""
    assert (rfc3339(one_ms) < rfc3339(other_ms)) == (one_ms < other_ms)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T10:00:00Z", "2026-11-21t10:00:00z", "2026-11-21 10:00:00Z", "2026-11-21T10:00:00.000000Z",
        "2026-11-21T11:00:00+01:00", "2026-11-21T04:30:00-05:30",
    ],
)  # fmt: skip
def test_all_forms_of_rfc_3339_are_read(text: str) -> None:
    """Producers may write any form that RFC 3339 allows."""
    assert parse_rfc3339(text) == parse_rfc3339("2026-11-21T10:00:00.000Z")


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-11-21", "2026-11-21T10:00:00", "20261121T100000Z", "2026-W47-6T10:00:00Z", "10:00:00Z",
        "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "1763719200", "2026-11-21T10:00Z", "0000-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    """A time without a zone, in another notation or in no calendar is refused with an example."""
    with pytest.raises(ValueError, match="expected RFC 3339 with a zone, such as"):
        parse_rfc3339(text)


@given(st.text(max_size=40))
def test_any_other_text_is_refused_in_the_same_way(text: str) -> None:
    """Reading a time has one error and no other."""
    try:
        parse_rfc3339(text)
    except ValueError as refused:
        assert "expected RFC 3339" in str(refused)  # noqa: PT017 - most texts are no times, a few may be


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 02 Sep 2026 10:11:12 +0000",
        "Wed, 02 Sep 2026 10:11:12 GMT",
        "Wed, 02 Sep 2026 10:11:12 -0000",
        "Wed, 02 Sep 2026 10:11:12",
        "Wed, 02 Sep 2026 03:11:12 -0700",
    ],
)
def test_twilio_times_are_utc_without_a_zone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback's time does not depend on the zone of the machine that reads it."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_rfc2822(text) == parse_rfc3339("2026-09-02T10:11:12Z")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "2026-09-02T10:11:12Z", "Wed, 99 Sep 2026 10:11:12 +0000"])
def test_what_is_no_time_of_twilio_is_none(text: str) -> None:
    """A callback with an unreadable time is still a callback."""
    assert parse_rfc2822(text) is None
