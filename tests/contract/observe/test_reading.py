"""The routes that read, as contracts.md section 3 promises them, on every log that needs no server."""

import base64
import json

import pytest

from cordboard.log.port import Log
from log_harness import read_records
from observed import BEGAN_AT, Written, a_call, call_sid, command
from reading_client import ReadingClient
from schemas.state import CallState
from schemas.topics import Topic


async def test_a_call_is_shown_as_the_engine_holds_it(ops: ReadingClient, written: Written) -> None:
    """`GET /v1/calls/{call_id}` has every name of the contract."""
    await written.state(a_call(1))

    answer = await ops.until(f"/v1/calls/{call_sid(1)}", lambda seen: seen.status == 200)

    assert list(answer.body) == [
        "call_id", "state", "version", "direction", "account_sid", "created_at", "ended_at", "room", "context", "legs",
        "transfer", "supervisions", "recording", "conversation", "timers", "pending_actions", "quarantined",
    ]  # fmt: skip
    assert answer.body["state"] == "waiting"


async def test_calls_are_listed_in_pages(ops: ReadingClient, written: Written) -> None:
    """`GET /v1/calls` gives each call once, newest first, and a cursor until there are no more."""
    await written.state(*(a_call(number) for number in range(5)))
    await ops.until("/v1/calls", lambda seen: len(seen.body["calls"]) == 5)

    first = (await ops.get("/v1/calls?limit=3")).body
    second = (await ops.get(f"/v1/calls?limit=3&after={first['next']}")).body

    found = [call["call_id"] for call in first["calls"] + second["calls"]]
    assert found == [call_sid(number) for number in range(4, -1, -1)]
    assert second["next"] is None
    assert list(first["calls"][0]) == ["call_id", "state", "direction", "created_at", "ended_at", "legs"]


async def test_calls_are_listed_by_state(ops: ReadingClient, written: Written) -> None:
    """`state=` leaves the others out."""
    await written.state(a_call(1), a_call(2, CallState.HELD))
    await ops.until("/v1/calls", lambda seen: len(seen.body["calls"]) == 2)

    body = (await ops.get("/v1/calls?state=held")).body

    assert [call["call_id"] for call in body["calls"]] == [call_sid(2)]


async def test_what_was_written_before_we_came_is_there(log: Log, written: Written, ops: ReadingClient) -> None:
    """A reader that starts later sees the calls, their events and the dead letters of before."""
    await written.state(a_call(1))
    await written.forget(call_sid(2))

    assert (await log.bounds(Topic.STATE))[written.partition(call_sid(1))].end > 0
    await ops.until("/v1/calls", lambda seen: [c["call_id"] for c in seen.body["calls"]] == [call_sid(1)])


async def test_an_answer_is_never_older_than_what_was_written_before_the_question(
    ops: ReadingClient, written: Written
) -> None:
    """Whoever has just got a result sees the state, the list and the events that belong to it."""
    await written.state(a_call(1))
    await ops.until("/readyz", lambda seen: seen.status == 200)
    for state in (CallState.IN_CONFERENCE, CallState.HELD, CallState.ORPHANED):
        await written.state(a_call(1, state))
        told = await written.event(call_sid(1), "call.held")
        assert (await ops.get(f"/v1/calls/{call_sid(1)}")).body["state"] == state
        assert [call["state"] for call in (await ops.get("/v1/calls")).body["calls"]] == [state]
        assert (await ops.get(f"/v1/calls/{call_sid(1)}/events")).body["events"][-1]["id"] == told


async def test_a_forgotten_call_is_gone(ops: ReadingClient, written: Written) -> None:
    """After the tombstone there is no state, and the answer says where to look."""
    await written.state(a_call(1))
    await ops.until(f"/v1/calls/{call_sid(1)}", lambda seen: seen.status == 200)
    await written.forget(call_sid(1))

    answer = await ops.until(f"/v1/calls/{call_sid(1)}", lambda seen: seen.status == 404)

    assert answer.is_problem
    assert "/events" in answer.body["detail"]


async def test_the_events_of_a_call_come_in_order(ops: ReadingClient, written: Written) -> None:
    """`GET /v1/calls/{call_id}/events` gives this call's events and nobody else's."""
    await written.state(a_call(1))
    mine = [await written.event(call_sid(1), "call.created")]
    await written.event(call_sid(2), "call.created")
    mine += [await written.event(call_sid(1), name) for name in ("call.waiting", "call.ended")]

    answer = await ops.until(
        f"/v1/calls/{call_sid(1)}/events", lambda seen: seen.status == 200 and len(seen.body["events"]) == 3
    )

    assert [event["id"] for event in answer.body["events"]] == mine
    assert {event["subject"] for event in answer.body["events"]} == {call_sid(1)}


async def test_events_of_a_call_that_was_never_there_are_told_all_the_same(
    ops: ReadingClient, written: Written
) -> None:
    """A rejected command for an unknown call has left a result; there is a story although there is no call."""
    told = await written.event(call_sid(7), "fact.ignored")

    answer = await ops.until(f"/v1/calls/{call_sid(7)}/events", lambda seen: seen.status == 200)

    assert [event["id"] for event in answer.body["events"]] == [told]


async def test_the_stream_gives_events_from_now_on(ops: ReadingClient, written: Written) -> None:
    """Without `from` nothing old comes; `data:` is one CloudEvent."""
    await written.event(call_sid(1), "call.created")
    async with ops.stream() as frames:
        assert "" in await frames.next()
        told = await written.event(call_sid(1), "call.waiting")

        _, event = await frames.next_event()

    assert (event["id"], event["type"]) == (told, "cordboard.event.call.waiting.v1")


async def test_the_stream_resumes_at_the_very_next_event(ops: ReadingClient, written: Written) -> None:
    """Whoever comes back with the id of any event gets exactly what came after it, over all partitions."""
    told = [await written.event(call_sid(number), "call.created") for number in range(12)]
    seen: list[str] = []
    last: str | None = None
    while len(seen) < 12:
        async with ops.stream("?from=earliest", last) as frames:
            for _ in range(5 if len(seen) < 10 else 2):
                last, event = await frames.next_event()
                seen.append(event["id"])

    assert sorted(seen) == sorted(told)


async def test_the_stream_can_be_of_one_call_and_of_some_types(ops: ReadingClient, written: Written) -> None:
    """`call=` and `type=` leave out what is not asked for, and resuming keeps to them."""
    for number in (1, 2):
        for name in ("call.created", "call.held", "call.resumed"):
            await written.event(call_sid(number), name, f"{number}-{name}")

    async with ops.stream(f"?from=earliest&call={call_sid(1)}&type=call.held,call.resumed") as frames:
        last, first = await frames.next_event()
    async with ops.stream(f"?call={call_sid(1)}&type=call.held&type=call.resumed", last) as frames:
        _, second = await frames.next_event()

    assert (first["id"], second["id"]) == ("1-call.held", "1-call.resumed")


async def test_the_stream_says_when_everything_of_before_has_come(ops: ReadingClient, written: Written) -> None:
    """The comment `caught up` stands behind the last event that was there."""
    told = await written.event(call_sid(1), "call.created")
    async with ops.stream("?from=earliest") as frames:
        _, event = await frames.next_event()
        assert event["id"] == told
        assert (await frames.next())[""] == "caught up"


async def test_an_id_of_another_stream_is_refused(ops: ReadingClient) -> None:
    """A made-up position is an error, not a silent start from somewhere."""
    answer = await ops.get("/v1/events", Last_Event_ID="0:1")

    assert (answer.status, answer.is_problem) == (400, True)


async def test_dead_letters_are_listed_with_their_bytes(ops: ReadingClient, written: Written) -> None:
    """`GET /v1/dead-letters` has every name of the contract, newest first, in pages."""
    letters = [await written.dead_letter(f"key-{n}", bytes([255, n]), "call.inbox", "unplaced") for n in range(5)]
    await ops.until("/v1/dead-letters", lambda seen: len(seen.body["dead_letters"]) == 5)

    first = (await ops.get("/v1/dead-letters?limit=3")).body
    second = (await ops.get(f"/v1/dead-letters?limit=3&after={first['next']}")).body
    all_of_them = first["dead_letters"] + second["dead_letters"]

    assert sorted(letter["id"] for letter in all_of_them) == sorted(letters)
    assert second["next"] is None
    assert list(all_of_them[0]) == ["id", "at", "topic", "reason", "detail", "key", "headers", "body_base64"]
    last = next(letter for letter in all_of_them if letter["id"] == letters[4])
    assert base64.b64decode(last["body_base64"]) == bytes([255, 4])
    assert (last["topic"], last["reason"], last["key"]) == ("call.inbox", "unplaced", "key-4")


async def test_one_dead_letter_is_shown(ops: ReadingClient, written: Written) -> None:
    """`GET /v1/dead-letters/{id}` shows what the list shows."""
    letter_id = await written.dead_letter("key", b"x", "call.commands")

    answer = await ops.get(f"/v1/dead-letters/{letter_id}")

    assert (answer.status, answer.body["id"], answer.body["headers"]["reason"]) == (200, letter_id, "invalid")


async def test_a_redriven_record_goes_back_in_under_a_new_id(log: Log, ops: ReadingClient, written: Written) -> None:
    """It lands in the topic it came from, with the id naming the old one; doing it again gives the same id."""
    letter_id = await written.dead_letter(call_sid(1), command("cmd-1", call_sid(1)), "call.commands", ce_x="kept")

    answers = [await ops.ask("POST", f"/v1/dead-letters/{letter_id}/redrive") for _ in range(2)]

    new_id = f"redrive.{letter_id}.cmd-1"
    assert [(a.status, a.body) for a in answers] == [
        (202, {"dead_letter": letter_id, "topic": "call.commands", "id": new_id})
    ] * 2
    records = await read_records(log, Topic.COMMANDS, written.partition(call_sid(1)), 2)
    for record in records:
        body = json.loads(record.value or b"")
        assert (body["id"], body["source"], body["subject"]) == (new_id, "/crm", call_sid(1))
        assert dict(record.headers) == {"ce_x": b"kept", "redriven_from": letter_id.encode()}


async def test_bytes_without_an_id_go_back_in_as_they_came(log: Log, ops: ReadingClient, written: Written) -> None:
    """What cannot be read cannot be renamed; a header says where it comes from."""
    letter_id = await written.dead_letter("key", b"\xff\x00", "stage.call.inbox", ce_id="binary-1")

    answer = await ops.ask("POST", f"/v1/dead-letters/{letter_id}/redrive")

    assert answer.body == {"dead_letter": letter_id, "topic": "call.inbox", "id": None}
    [record] = await read_records(log, Topic.INBOX, written.partition("key"), 1)
    assert record.value == b"\xff\x00"
    assert dict(record.headers)["ce_id"] == f"redrive.{letter_id}.binary-1".encode()


@pytest.mark.parametrize("source", ["call.state", "call.events", "http", ""])
async def test_only_what_anybody_may_write_can_be_redriven(ops: ReadingClient, written: Written, source: str) -> None:
    """A letter from a fenced topic or from no topic is refused with the reason."""
    letter_id = await written.dead_letter("key", b"{}", source)

    answer = await ops.ask("POST", f"/v1/dead-letters/{letter_id}/redrive")

    assert (answer.status, answer.is_problem) == (409, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/calls?state=busy", 400),
        ("GET", "/v1/calls?limit=0", 400),
        ("GET", "/v1/calls?limit=1001", 400),
        ("GET", "/v1/calls?limit=many", 400),
        ("GET", "/v1/calls?after=nowhere", 400),
        ("GET", "/v1/calls?colour=red", 400),
        ("GET", "/v1/calls/not%20a%20call", 404),
        ("GET", "/v1/calls/CA1", 404),
        ("GET", "/v1/calls/CA1/events", 404),
        ("GET", "/v1/events?from=yesterday", 400),
        ("GET", "/v1/events?call=a%20b", 400),
        ("GET", "/v1/dead-letters?after=1-1", 400),
        ("GET", "/v1/dead-letters/x", 400),
        ("GET", "/v1/dead-letters/" + "9" * 5000 + "-1", 400),
        ("GET", "/v1/dead-letters/0-999", 404),
        ("GET", "/v1/dead-letters/999-0", 404),
        ("POST", "/v1/dead-letters/0-999/redrive", 404),
        ("POST", "/v1/dead-letters/x/redrive", 400),
        ("DELETE", "/v1/calls", 405),
        ("POST", "/v1/calls/CA1", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
    ],
)
async def test_every_error_is_a_problem(ops: ReadingClient, method: str, path: str, status: int) -> None:
    """Errors are `application/problem+json` with a detail that says what was expected."""
    answer = await ops.ask(method, path)

    assert (answer.status, answer.is_problem) == (status, True)
    assert status != 405 or "Allow" in answer.headers


async def test_reading_is_ready_once_it_has_caught_up(ops: ReadingClient, written: Written) -> None:
    """`/readyz` turns 200 when everything of before has been read."""
    await written.state(a_call(1, at=BEGAN_AT))

    assert (await ops.until("/readyz", lambda seen: seen.status == 200)).body == {"ready": True}
