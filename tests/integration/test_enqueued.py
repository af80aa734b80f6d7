"""Callers in TaskRouter's own queue, against the local Twilio: it dials, moves and accepts, and the call is ours."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from free_ports import free_port
from stack import NUMBER, OTHER, Call, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

WORKER = "+15550144"
WORKFLOW = "WW" + "0" * 31 + "1"
APPLIED = ("applied", None)
POLICY = """
["+15550100"]
route = "enqueue:support"
wrap_up_s = 1
max_wait = "voicemail"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def centre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A number whose callers go into TaskRouter's queue."""
    async with Stack(tmp_path_factory.mktemp("enqueued")).journal(POLICY) as stack:
        yield stack


@pytest_asyncio.fixture(loop_scope="module")
async def stack(centre: Stack) -> Stack:
    """The worker is there and picks up."""
    await ready(centre)
    return centre


async def ready(stack: Stack) -> None:
    """The worker of the queue is there, and picks up."""
    await stack.person(WORKER, ring_s=0.05)
    await stack.twilio("PUT", "/workers/carla", {"activity": "Available"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A number that is not ours: somebody else's TwiML puts its callers into the queue of the workflow."""

    async def voice(_: web.Request) -> web.Response:
        text = f'<Response><Enqueue workflowSid="{WORKFLOW}"><Task>{{"order": "7"}}</Task></Enqueue></Response>'
        return web.Response(text=text, content_type="text/xml")

    app = web.Application()
    app.router.add_post("/voice", voice)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with Stack(tmp_path_factory.mktemp("foreign")).journal("[defaults]\nwrap_up_s = 1\n") as stack:
        await ready(stack)
        await stack.twilio("PUT", f"/numbers/{NUMBER}", {"voice_url": f"http://127.0.0.1:{port}/voice"})
        yield stack
    await runner.cleanup()


async def the_task(stack: Stack, call_sid: str) -> dict[str, Any]:
    """The task of a caller."""

    async def there() -> dict[str, Any] | None:
        tasks = (await stack.twilio("GET", "/tasks"))["tasks"]
        return next((task for task in tasks if task["attributes"].get("call_sid") == call_sid), None)

    found: dict[str, Any] = await until("the task", there)
    return found


async def people(call: Call) -> list[tuple[str, str]]:
    """Who is in the room."""
    return [(leg["leg"], leg["role"]) for leg in (await call.view())["legs"] if leg["state"] == "joined"]


async def test_the_queue_brings_caller_and_worker_together(stack: Stack) -> None:
    """Held and resumed like any other; the task is completed when it is over."""
    call = await stack.caller_dials()
    view = await call.reaches("in_conference")
    task = await the_task(stack, call.call_id)
    assert view["room"]["name"] == task["task_sid"]
    assert await people(call) == [("customer-1", "customer"), ("agent-1", "agent")]

    assert await call.command("call.hold") == APPLIED
    assert await call.command("call.resume") == APPLIED
    assert await call.command("call.end") == APPLIED

    await call.tells("task.completed")
    assert not await stack.rest("POST", "/Participants.json", Label="agent-1")


async def test_a_cold_transfer_out_of_the_queues_conference(stack: Stack) -> None:
    """The worker is released, and its task is completed while the call goes on."""
    call = await stack.caller_dials()
    await call.reaches("in_conference")

    assert await call.command("call.transfer", mode="cold", targets=[OTHER]) == APPLIED

    await call.reaches("in_conference")
    assert await people(call) == [("customer-1", "customer"), ("target-1", "agent")]
    await call.tells("task.completed")
    assert await call.command("call.end") == APPLIED


async def test_supervision_of_a_worker_of_the_queue(stack: Stack) -> None:
    """The coached leg is TaskRouter's own."""
    call = await stack.caller_dials()
    await call.reaches("in_conference")

    assert await call.command("call.supervise", mode="coach", supervisor=OTHER, coach="agent-1") == APPLIED
    assert await call.command("supervision.switch", supervisor="supervisor-1", mode="barge") == APPLIED
    assert await call.command("call.end") == APPLIED


async def test_a_caller_gives_up_in_the_queue(stack: Stack) -> None:
    """Abandoned, and the worker's phone rings no more."""
    await stack.person(WORKER, answer="asks")
    call = await stack.caller_dials()
    await call.leg_is("agent-1", "ringing")

    await stack.hangs_up(call.call_id)

    await call.reaches("ended")
    await call.tells("call.abandoned")
    await call.tells("task.canceled")


async def test_a_worker_who_does_not_answer_is_followed_by_another(stack: Stack) -> None:
    """The reservation is TaskRouter's to give back; the caller keeps the place."""
    await stack.person(WORKER, answer="busy")
    call = await stack.caller_dials()
    await call.leg_is("agent-1", "failed")
    await ready(stack)

    await call.reaches("in_conference")

    assert await people(call) == [("customer-1", "customer"), ("agent-2", "agent")]
    assert await call.command("call.end") == APPLIED


async def test_a_call_that_others_have_enqueued_is_adopted(foreign: Stack) -> None:
    """Named after its task, which is told so over the version that was read, and keeps its other words."""
    dialled = await foreign.caller_dials()
    call = Call(foreign, (await the_task(foreign, dialled.call_id))["task_sid"])
    view = await call.reaches("in_conference")
    assert (view["legs"][0]["leg"], view["legs"][0]["call_sid"]) == ("customer-1", dialled.call_id)
    assert await people(call) == [("customer-1", "customer"), ("agent-1", "agent")]

    async def told() -> bool:
        task = await the_task(foreign, dialled.call_id)
        return {"order", "conference", "call_id"} <= set(task["attributes"]) and task["attributes"][
            "call_id"
        ] == call.call_id

    await until("the task to name its call", told)
    transfer = await call.send("call.transfer", mode="warm", targets=[OTHER])
    await call.transfer_reaches("consulting")
    assert await call.command("transfer.complete") == APPLIED
    assert await call.result_of(transfer) == APPLIED
    assert await call.command("call.end") == APPLIED
    await call.tells("task.completed")


async def test_others_end_it_in_their_queue(foreign: Stack) -> None:
    """A caller who hangs up there is gone; no request of ours has touched the call."""
    await foreign.person(WORKER, answer="asks")
    dialled = await foreign.caller_dials()
    call = Call(foreign, (await the_task(foreign, dialled.call_id))["task_sid"])
    await call.leg_is("agent-1", "ringing")

    await foreign.hangs_up(dialled.call_id)

    await call.reaches("ended")
    await call.tells("call.abandoned")
    assert not await foreign.rest("POST", f"/Calls/{dialled.call_id}.json")
