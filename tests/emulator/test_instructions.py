"""Assignment instructions that move calls: ``conference``, ``call``, ``redirect`` (twilio-facts.md 5.1, 5.2)."""

import json

import msgspec
import pytest

from emulator import Switches
from emulator.taskrouter.entities import Task
from emulator_bench import NUMBER, BenchFactory
from emulator_center import Center


async def test_a_caller_is_conferenced_with_the_worker(center: Center) -> None:
    """The conference instruction dials the worker, moves the caller, accepts, and writes down the conference."""
    await conferenced(center)
    room = center.bench.room(center.only_task().sid)
    assert room.status == "in-progress"
    assert {member.call.to for member in room.joined()} == {"client:alice", NUMBER}


async def conferenced(center: Center) -> Task:
    """Let a caller be connected with alice by the conference instruction."""
    bench = center.bench
    center.answers(
        {
            "instruction": "conference",
            "from": NUMBER,
            "conference_status_callback": bench.url("/conf"),
            "conference_status_callback_event": "start,end,join,leave",
            "end_conference_on_customer_exit": True,
        }
    )
    caller = await bench.caller("<Response><Pause length='60'/></Response>")
    await bench.until(lambda: bench.status(caller) == "in-progress", "the answer")
    task = await center.task(queue="sales", call_sid=caller)
    await center.until_status(task, "assigned")
    written = msgspec.convert(task.attributes["conference"], dict[str, object])
    room = bench.room(task.sid)
    people = {"worker": task.reservations[0].worker_call_sid, "customer": caller}
    assert written == {"room_name": task.sid, "sid": room.sid, "participants": people}
    return task


async def test_the_worker_leaving_the_conference_wraps_up(center: Center) -> None:
    """When the worker's leg leaves the conference the task goes into wrapping."""
    task = await conferenced(center)
    await center.control("POST", f"/calls/{task.reservations[0].worker_call_sid}/hangup")
    await center.until_status(task, "wrapping")
    assert task.reservations[0].status == "wrapping"
    assert center.bench.status(str(task.attributes["call_sid"])) == "in-progress"


@pytest.mark.parametrize(("switch", "status"), [("completed", "completed"), ("nothing", "assigned")])
async def test_the_worker_leaving_may_mean_something_else(start: BenchFactory, switch: str, status: str) -> None:
    """The switch says what becomes of the task: it is done, or stays with the worker."""
    center = Center(await start(Center.config(Switches(taskrouter_after_conference=switch))))
    task = await conferenced(center)
    worker_call = str(task.reservations[0].worker_call_sid)
    await center.control("POST", f"/calls/{worker_call}/hangup")
    await center.until(lambda: center.bench.status(worker_call) == "completed", "the end of the worker's call")
    await center.until_status(task, status)


async def test_a_worker_who_does_not_answer_the_conference(center: Center) -> None:
    """A worker's leg that fails gives the reservation back and leaves the caller where it is."""
    bench = center.bench
    await bench.person("client:alice", answer="busy")
    center.answers({"instruction": "conference", "from": NUMBER})
    caller = await bench.caller("<Response><Pause length='60'/></Response>")
    task = await center.task(queue="sales", call_sid=caller)
    await center.until(lambda: task.reservations and task.reservations[0].status == "rejected", "the rejection")
    assert (task.status, bench.status(caller)) == ("pending", "in-progress")
    await center.told("reservation.failed", WorkerName="alice")


async def test_conference_instructions_that_cannot_be(center: Center) -> None:
    """Without call_sid 40142, without a number of ours 40141, after the reservation is gone 40144."""
    task = await center.task(queue="sales")
    await center.asked()
    path = f"/Tasks/{task.sid}/Reservations/{task.reservations[0].sid}"
    status, body = await center.rest("POST", path, {"Instruction": "conference", "From": NUMBER})
    assert (status, body["code"]) == (400, 40142)
    caller = await center.bench.caller("<Response><Pause length='60'/></Response>")
    await center.rest("POST", f"/Tasks/{task.sid}", {"Attributes": json.dumps({"call_sid": caller})})
    status, body = await center.rest("POST", path, {"Instruction": "conference"})
    assert (status, body["code"]) == (400, 40141)
    await center.control("POST", "/workers/alice/reject")
    status, body = await center.rest("POST", path, {"Instruction": "conference", "From": NUMBER})
    assert (status, body["code"]) == (400, 40144)


async def test_the_instruction_call(center: Center) -> None:
    """``call`` dials the worker with TwiML of its own and accepts when it answers, if asked to."""
    bench = center.bench
    bench.site.pages["/worker"] = "<Response><Pause length='60'/></Response>"
    center.answers({"instruction": "call", "from": NUMBER, "url": bench.url("/worker"), "accept": True})
    task = await center.task(queue="sales")
    await center.until_status(task, "assigned")
    leg = bench.emulator.world.calls[task.reservations[0].worker_call_sid]
    assert (leg.to, leg.direction) == ("client:alice", "outbound-api")
    await bench.until(lambda: bench.site.got("/worker", CallSid=leg.sid), "the worker's TwiML")


async def test_the_instruction_redirect(center: Center) -> None:
    """``redirect`` sends the caller's call to other TwiML."""
    bench = center.bench
    bench.site.pages["/elsewhere"] = "<Response><Pause length='60'/></Response>"
    caller = await bench.caller("<Response><Pause length='60'/></Response>")
    await bench.until(lambda: bench.status(caller) == "in-progress", "the answer")
    center.answers({"instruction": "redirect", "call_sid": caller, "url": bench.url("/elsewhere"), "accept": True})
    task = await center.task(queue="sales")
    await center.until_status(task, "assigned")
    await bench.until(lambda: bench.site.got("/elsewhere", CallSid=caller), "the redirect")


async def test_a_timeout_while_the_worker_rings(start: BenchFactory) -> None:
    """A reservation that times out while the conference instruction dials takes the worker's leg down with it."""
    bench = await start(Center.config(task_reservation_timeout_s=1))
    center = Center(bench)
    await bench.person("client:alice", answer="asks")
    center.answers({"instruction": "conference", "from": NUMBER})
    caller = await bench.caller("<Response><Pause length='60'/></Response>")
    task = await center.task(queue="sales", call_sid=caller)
    await center.until(lambda: task.reservations and task.reservations[0].status == "timeout", "the timeout")
    leg = task.reservations[0].worker_call_sid
    await center.until(lambda: bench.status(leg) == "canceled", "the end of the worker's leg")
    assert (task.status, bench.status(caller)) == ("pending", "in-progress")
