"""A verified callback becomes a record of the right call, or a reason why it cannot."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.webhooks import SOURCES, UnplaceableError, read_webhook
from schemas.codec import decode_inbox, encode
from schemas.ids import is_call_id
from schemas.records import Webhook
from schemas.webhooks import Source

CALL = "CA" + "0" * 31 + "1"
CHILD = "CA" + "0" * 31 + "2"
STATUS = {"CallSid": CALL, "CallStatus": "ringing", "SequenceNumber": "1"}
PAYLOADS = [json.loads(line) for line in (Path(__file__).parent / "payloads.jsonl").read_text().splitlines()]
SOURCE_OF = {
    "voice.status": Source.STATUS,
    "voice": Source.VOICE,
    "conference": Source.CONFERENCE,
    "recording": Source.RECORDING,
}


def placed(payload: dict[str, dict[str, str]]) -> Source | None:
    """The source of a recorded payload, None for one that we have no route for."""
    kind = str(payload["kind"])
    return next((source for prefix, source in SOURCE_OF.items() if kind.startswith(prefix)), None)


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if placed(p)], ids=lambda payload: str(payload["id"]))
def test_recorded_payloads_become_records(payload: dict[str, dict[str, str]]) -> None:
    """Every recorded or documented callback becomes a record that holds the whole form and survives the log."""
    source = placed(payload)
    assert source is not None
    record = read_webhook(source, {"call": "c1"}, payload["params"], 5)
    again = decode_inbox(encode(record))
    assert isinstance(again, Webhook)
    assert (again.call_id, again.source, again.at) == ("c1", source, 5)
    assert msgspec.json.decode(again.params) == payload["params"]


def test_query_goes_before_everything() -> None:
    """`call` of our own URL decides, whatever the callback's CallSid and room say."""
    conference = {"FriendlyName": "room-other", "ConferenceSid": "CF1", "StatusCallbackEvent": "participant-join"}
    form = {**STATUS, **conference, "AccountSid": "AC1"}
    for source in (Source.STATUS, Source.CONFERENCE, Source.VOICE):
        record = read_webhook(source, {"call": "c1", "leg": "agent-1", "a": "c1.1.0"}, form, 0)
        assert (record.call_id, record.leg, record.action) == ("c1", "agent-1", "c1.1.0")


def test_child_leg_is_placed_by_its_own_sid() -> None:
    """A child leg's status without our query goes to its own CallSid: the engine waits for such a call, then tells."""
    assert read_webhook(Source.STATUS, {}, {**STATUS, "CallSid": CHILD, "ParentCallSid": CALL}, 0).call_id == CHILD


def test_room_names_the_call() -> None:
    """A conference event without our query is placed by the room's name, and a strange room nowhere."""
    form = {"ConferenceSid": "CF1", "StatusCallbackEvent": "conference-end", "FriendlyName": "room-c1"}
    assert read_webhook(Source.CONFERENCE, {}, form, 0).call_id == "c1"
    with pytest.raises(UnplaceableError, match="no_call"):
        read_webhook(Source.CONFERENCE, {}, {**form, "FriendlyName": "lobby"}, 0)


@pytest.mark.parametrize("call", ["", "a b", "x" * 65, "é", "a/b", "c1\n"])
def test_bad_call_in_the_query(call: str) -> None:
    """A `call` that is no call id is not taken for one."""
    with pytest.raises(UnplaceableError, match="bad_call"):
        read_webhook(Source.STATUS, {"call": call}, STATUS, 0)


def test_same_callback_has_the_same_id_and_another_has_not() -> None:
    """Deliveries of one callback share an id; events of one call do not; the retry's time plays no part."""
    first = read_webhook(Source.STATUS, {}, STATUS, 0)
    assert read_webhook(Source.STATUS, {"call": "c1"}, {**STATUS, "Timestamp": "later"}, 9).id == first.id
    assert read_webhook(Source.STATUS, {}, {**STATUS, "SequenceNumber": "2"}, 0).id != first.id
    assert read_webhook(Source.STATUS, {}, {**STATUS, "CallSid": CHILD}, 0).id != first.id


names = st.sampled_from(
    ["CallSid", "CallStatus", "SequenceNumber", "ConferenceSid", "StatusCallbackEvent", "FriendlyName", "AnsweredBy"]
)
values = st.sampled_from([CALL, "1", "", "room-c1", "true"]) | st.text(max_size=6)


@given(
    st.sampled_from(sorted(SOURCES.values())),
    st.dictionaries(st.sampled_from(["call", "leg", "a", "x"]), values),
    st.dictionaries(names | st.text(max_size=4), values),
)
def test_any_form_is_placed_or_refused(source: Source, query: dict[str, str], form: dict[str, str]) -> None:
    """Whatever is signed becomes a record that can be read again, or is refused with a reason."""
    record = attempted(source, query, form)
    if isinstance(record, UnplaceableError):
        assert record.reason in {"bad_form", "bad_call", "bad_leg", "no_call"}
        assert record.detail
    else:
        assert is_call_id(record.call_id)
        assert isinstance(decode_inbox(encode(record)), Webhook)


def attempted(source: Source, query: dict[str, str], form: dict[str, str]) -> Webhook | UnplaceableError:
    """The record, or why there is none."""
    try:
        return read_webhook(source, query, form, 1)
    except UnplaceableError as refused:
        return refused
