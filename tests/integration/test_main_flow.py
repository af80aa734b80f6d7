"""The main job, end to end: signed webhooks in, REST commands out, with every service a process of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kafka_broker import KafkaBroker
from stack import AGENT, OTHER, Call, Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Stack]:
    """Everything in one process on the journal."""
    async with Stack(tmp_path).journal() as stack:
        yield stack


@pytest.fixture
async def on_kafka(tmp_path: Path, kafka: KafkaBroker, topic_prefix: str) -> AsyncIterator[Stack]:
    """The services of docker-compose.yml as processes, on a real broker."""
    async with Stack(tmp_path).kafka(kafka.bootstrap, topic_prefix) as stack:
        yield stack


async def connected(stack: Stack) -> Call:
    """A caller in the room with an agent."""
    call = await stack.caller_dials()
    await call.reaches("waiting")
    assert await call.command("call.connect", to=AGENT) == ("applied", None)
    return call


async def the_main_flow(stack: Stack) -> None:
    """Connect, hold, resume, transfer cold, end: each ends in its one result and is seen at Twilio."""
    call = await connected(stack)
    assert await call.command("call.hold") == ("applied", None)
    assert await call.command("call.resume") == ("applied", None)
    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == ("applied", None)
    view = await call.reaches("in_conference")
    assert view["transfer"]["state"] == "completed"
    assert await call.command("call.end") == ("applied", None)
    await call.reaches("ended")
    await nobody_is_left(stack)
    await it_was_asked_once(stack)


async def nobody_is_left(stack: Stack) -> None:
    """No call of the local Twilio is still up."""
    from stack import until  # noqa: PLC0415 heavy

    async def quiet() -> bool:
        calls = (await stack.twilio("GET", "/calls"))["calls"]
        return all(call["status"] in {"completed", "busy", "no-answer", "failed", "canceled"} for call in calls)

    await until("everybody to have hung up", quiet)


async def it_was_asked_once(stack: Stack) -> None:
    """The local Twilio's own ledger: one creation a leg, the hold and its end, the removal, the end of the room."""
    for leg in ("agent-1", "target-1"):
        assert len(await stack.rest("POST", "/Participants", Label=leg)) == 1
    assert len(await stack.rest("POST", "/Participants/", Hold="true")) == 1
    assert len(await stack.rest("POST", "/Participants/", Hold="false")) == 1
    assert await stack.rest("DELETE", "/Participants/")
    assert len(await stack.rest("POST", "/Conferences/CF", Status="completed")) == 1


async def test_the_main_flow_on_the_journal(journal: Stack) -> None:
    """One process, one file."""
    await the_main_flow(journal)


@pytest.mark.kafka
async def test_the_main_flow_on_kafka_with_each_service_a_process(on_kafka: Stack) -> None:
    """The topology of docker-compose.yml."""
    await the_main_flow(on_kafka)


async def killed_in_the_middle(stack: Stack, victim: str) -> None:
    """-9 while the target rings; the target answers while nobody is there; the transfer completes all the same."""
    call = await connected(stack)
    await stack.person(OTHER, ring_s=1.0)
    transfer = await call.send("call.transfer", mode="cold", targets=[OTHER])
    await call.leg_is("target-1", "dialing", "ringing")

    stack.services[victim].kill()
    await stack.ready(stack.services[victim].start())

    assert await call.result_of(transfer) == ("applied", None)
    view = await call.reaches("in_conference")
    assert view["transfer"]["state"] == "completed"
    assert len(await stack.rest("POST", "/Participants", Label="target-1")) == 1
    assert await call.command("call.end") == ("applied", None)
    await nobody_is_left(stack)


async def test_a_transfer_survives_a_kill_on_the_journal(journal: Stack) -> None:
    """The whole process dies by -9 and takes the calls up where they are."""
    await killed_in_the_middle(journal, "run")


@pytest.mark.kafka
async def test_a_transfer_survives_a_kill_of_the_engine_on_kafka(on_kafka: Stack) -> None:
    """The engine dies by -9; the next one takes the partitions and the call."""
    await killed_in_the_middle(on_kafka, "engine")


@pytest.mark.kafka
async def test_a_transfer_survives_a_kill_of_the_workers_on_kafka(on_kafka: Stack) -> None:
    """The action workers die by -9; nobody is dialled twice."""
    await killed_in_the_middle(on_kafka, "actions")


async def test_sigterm_drains_and_ends_with_0(journal: Stack) -> None:
    """An orderly stop: exit 0 within ten seconds, with calls up; the next start goes on with them."""
    call = await connected(journal)

    assert journal.services["run"].stop() == 0
    await journal.ready(journal.services["run"].start())

    assert await call.command("call.end") == ("applied", None)
