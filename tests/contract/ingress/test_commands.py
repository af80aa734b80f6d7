"""`POST /v1/commands` over real HTTP: what is a command, what is durable, what its sender is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cordboard.feed import ResultFeed
from cordboard.log.memory import MemoryLog
from cordboard.log.port import Entry
from ingress.commands import CommandIntake, add_command_routes
from ingress.recorder import Recorder
from schemas import codec
from schemas.commands import COMMANDS
from schemas.ids import dialled_call_id, result_id
from schemas.records import Command
from schemas.results import Outcome, Result
from schemas.topics import Topic, partition_of
from signing_twilio import NOW_MS, Answer, Inboxes

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
HOLD = {
    "specversion": "1.0",
    "id": "cmd-1",
    "source": "/crm",
    "type": "cordboard.command.call.hold.v1",
    "subject": "CA1",
    "data": {"leg": "customer"},
}
NO_CHANGES: Mapping[str, object] = MappingProxyType({})
RESULT = Result("cmd-1", "/crm", "cordboard.command.call.hold.v1", Outcome.APPLIED, state="held")


class Sender:
    """Another service, with an HTTP client."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def send(self, body: bytes, headers: dict[str, str], query: str = "") -> Answer:
        """POST to `/v1/commands`."""
        async with self._session.post(f"{self._url}/v1/commands{query}", data=body, headers=headers) as response:
            return Answer(response.status, await response.text(), dict(response.headers))

    async def command(self, changes: Mapping[str, object] = NO_CHANGES, query: str = "") -> Answer:
        """The hold command with changes; None leaves a field out."""
        event = {name: value for name, value in {**HOLD, **changes}.items() if value is not None}
        return await self.send(msgspec.json.encode(event), STRUCTURED, query)


@pytest.fixture
async def sender(log: MemoryLog) -> AsyncIterator[Sender]:
    """A service that sends commands to an ops port."""
    app = web.Application()
    feed = ResultFeed(log)
    add_command_routes(app, CommandIntake(Recorder(log, 0.2), feed, lambda: NOW_MS, deadline_s=60.0))
    async with feed.running(), TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Sender(session, str(server.make_url("")).rstrip("/"))


def taken(inboxes: Inboxes) -> Command:
    """The one command that is in the inbox."""
    (record,) = inboxes.records
    assert isinstance(record, Command)
    return record


async def publish_result(log: MemoryLog, result: Result = RESULT) -> bytes:
    """The engine answers."""
    event_id = result_id(result.command_source, result.command_id)
    value = codec.result(event_id=event_id, subject="CA1", at_ms=NOW_MS, data=result)
    await log.publish(Topic.EVENTS, (Entry(partition_of(b"CA1", log.partitions), b"CA1", value),))
    return value


async def test_structured_command(sender: Sender, inboxes: Inboxes) -> None:
    """A CloudEvent in JSON is in the call's inbox when its sender gets the 202."""
    answer = await sender.command()
    assert (answer.status, msgspec.json.decode(answer.text)) == (202, {"id": "cmd-1", "call_id": "CA1"})
    command = taken(inboxes)
    assert (command.call_id, command.name, command.command_id, command.command_source) == (
        "CA1",
        "call.hold",
        "cmd-1",
        "/crm",
    )
    assert (command.at, command.deadline, command.invalid) == (NOW_MS, NOW_MS + 60_000, None)


async def test_binary_command(sender: Sender, inboxes: Inboxes) -> None:
    """In binary mode the attributes stand in `ce-` headers, percent-encoded, and the body is the data."""
    headers = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "caf%C3%A9",
        "ce-source": "/crm",
        "ce-type": "cordboard.command.call.announce.v1",
        "ce-subject": "CA1",
        "ce-traceparent": "00-1-2-01",
    }
    answer = await sender.send(b'{"say": "hello"}', headers)
    assert answer.status == 202
    assert (taken(inboxes).command_id, taken(inboxes).trace) == ("café", "00-1-2-01")
    assert msgspec.json.decode(taken(inboxes).data) == {"say": "hello"}


async def test_plain_json_is_structured(sender: Sender) -> None:
    """Who writes `application/json` by hand means a structured CloudEvent."""
    answer = await sender.send(msgspec.json.encode(HOLD), {"Content-Type": "application/json"})
    assert answer.status == 202


async def test_dial_names_its_call(sender: Sender, inboxes: Inboxes) -> None:
    """A call that begins with a command gets an id derived from it; the answer names it, the same every time."""
    data = {"agent": "client:anna", "to": "phone:+15550177"}
    dial = {"type": "cordboard.command.call.dial.v1", "data": data, "subject": None}
    answers = [await sender.command(dial) for _ in range(2)]
    expected = {"id": "cmd-1", "call_id": dialled_call_id("/crm", "cmd-1")}
    assert [msgspec.json.decode(answer.text) for answer in answers] == [expected, expected]
    assert len({record.id for record in inboxes.records}) == 1


async def test_own_deadline(sender: Sender, inboxes: Inboxes) -> None:
    """A command's own deadline bounds the start of its effect."""
    await sender.command({"deadline": "2026-11-21T10:00:00Z"})
    assert taken(inboxes).deadline == 1_795_255_200_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "cordboard.command.call.fly.v1"}, "call.hold"),
        ({"type": "something.else"}, "unknown type"),
        ({"data": {"leg": "nobody"}}, "leg"),
        ({"data": [1]}, "object"),
        ({"subject": None}, "subject is missing"),
        ({"subject": "a b"}, "not a call id"),
        ({"deadline": "tomorrow"}, "RFC 3339"),
        ({"deadline": "2026-11-21T10:00:00"}, "RFC 3339"),
    ],
)
async def test_invalid_command(sender: Sender, inboxes: Inboxes, changes: dict[str, object], said: str) -> None:
    """A CloudEvent that asks for something unknown, or wrongly, is told what is wrong with it; nothing is recorded."""
    answer = await sender.command(changes)
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert said in msgspec.json.decode(answer.text)["detail"]
    assert not inboxes.records


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", STRUCTURED, 400),
        (b"{", STRUCTURED, 400),
        (b"\xff\xfe", STRUCTURED, 400),
        (b"[" * 100_000, STRUCTURED, 413),
        (b"[" * 60_000, STRUCTURED, 400),
        (b'{"specversion":"1.0","id":"","source":"a","type":"b"}', STRUCTURED, 400),
        (b'{"specversion":"0.3","id":"1","source":"a","type":"b"}', STRUCTURED, 400),
        (b'{"specversion":"1.0","id":"%s","source":"a","type":"b"}' % (b"x" * 513), STRUCTURED, 400),
        (b"[]", {"Content-Type": "application/cloudevents-batch+json"}, 415),
        (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {**STRUCTURED, "Content-Encoding": "gzip"}, 415),
        (b"{}", {"ce-specversion": "1.0", "Content-Type": "text/plain"}, 415),
        (b"{}", {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "Content-Type": "application/json"}, 400),
    ],
)
async def test_what_is_no_cloudevent(
    sender: Sender, inboxes: Inboxes, body: bytes, headers: dict[str, str], status: int
) -> None:
    """What does not parse is refused with what was expected; nothing is recorded."""
    answer = await sender.send(body, headers)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    problem = msgspec.json.decode(answer.text)
    assert problem["status"] == status
    assert problem["detail"]
    assert not inboxes.records


async def test_log_away(sender: Sender, log: MemoryLog) -> None:
    """A command that is not durable is not accepted."""
    log.unavailable = "no broker"
    answer = await sender.command()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_wait_gives_the_result(sender: Sender, log: MemoryLog, inboxes: Inboxes) -> None:
    """With `wait` the sender gets the terminal result as the event that everybody else gets."""
    asking = asyncio.create_task(sender.command(query="?wait=20"))
    async with asyncio.timeout(10):
        while not inboxes.records:
            await asyncio.sleep(0.001)
        await publish_result(log, Result("another", "/crm", "t", Outcome.FAILED))
        value = await publish_result(log)
        answer = await asking
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/cloudevents+json")
    assert answer.text.encode() == value


async def test_wait_in_vain(sender: Sender) -> None:
    """When no result came in time the sender has the 202 all the same."""
    assert (await sender.command(query="?wait=0.01")).status == 202


@pytest.mark.parametrize("wait", ["x", "-1", "61", "nan", "inf"])
async def test_bad_wait(sender: Sender, inboxes: Inboxes, wait: str) -> None:
    """A wait that is no number of seconds, or too long, is refused before anything is recorded."""
    assert (await sender.command(query=f"?wait={wait}")).status == 400
    assert not inboxes.records


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_is_known(sender: Sender, name: str) -> None:
    """Every command of the catalogue is taken or told what its data lacks; none is unknown."""
    answer = await sender.command({"type": f"cordboard.command.{name}.v1", "data": None})
    assert answer.status in {202, 422}
    assert "unknown type" not in answer.text
