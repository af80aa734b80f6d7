"""Callers wait in queues, are taken, leave, are moved, or become tasks (twilio-facts.md 4.3)."""

import msgspec
import pytest

from emulator_bench import CALLER, NUMBER, Bench
from emulator_center import Center

LONG = "<Response><Pause length='60'/></Response>"


async def waiting(bench: Bench, attributes: str = "", *, name: str = "support", from_: str = CALLER) -> str:
    """Let somebody wait in a queue; return the CallSid."""
    twiml = f'<Response><Enqueue action="/queued" {attributes}>{name}</Enqueue><Hangup/></Response>'
    sid = await bench.caller(twiml, from_=from_)
    await bench.until(lambda: bench.emulator.world.queues.member(sid), "the caller in the queue")
    return sid


async def queue_sid(bench: Bench) -> str:
    """Return the SID of the only queue."""
    _, body = await bench.rest("GET", "/Queues.json")
    (queue,) = msgspec.convert(body["queues"], list[dict[str, object]])
    return str(queue["sid"])


async def test_an_agent_takes_the_first_caller(bench: Bench) -> None:
    """``<Dial><Queue>`` bridges the first caller; both actions tell how it went when the agent hangs up."""
    first = await waiting(bench)
    second = await waiting(bench, from_="+15550100009")
    bench.site.pages["/agent"] = '<Response><Dial action="/agent-done"><Queue>support</Queue></Dial></Response>'
    form = {"To": "client:agent", "From": NUMBER, "Url": bench.url("/agent")}
    _, agent = await bench.rest("POST", "/Calls.json", form)
    world = bench.emulator.world
    await bench.until(lambda: (member := world.queues.member(first)) and member.bridge, "the bridge")
    _, body = await bench.rest("GET", f"/Queues/{await queue_sid(bench)}/Members.json")
    members = msgspec.convert(body["queue_members"], list[dict[str, object]])
    assert [(one["call_sid"], one["position"]) for one in members] == [(second, 1)]
    await bench.control("POST", f"/calls/{agent['sid']}/hangup")
    await bench.until(lambda: bench.site.got("/queued"), "the caller's action")
    told = bench.site.got("/queued")[0].params
    assert (told["QueueResult"], told["CallSid"], told["QueueSid"]) == ("bridged", first, await queue_sid(bench))
    assert told["QueueTime"].isdigit()


async def test_the_caller_hangs_up_on_the_agent(bench: Bench) -> None:
    """When the caller leaves the talk, the agent's Dial ends as completed, with the caller's SID and the duration."""
    caller = await waiting(bench)
    bench.site.pages["/agent"] = '<Response><Dial action="/agent-done"><Queue>support</Queue></Dial></Response>'
    form = {"To": "client:agent", "From": NUMBER, "Url": bench.url("/agent")}
    await bench.rest("POST", "/Calls.json", form)
    world = bench.emulator.world
    await bench.until(lambda: (member := world.queues.member(caller)) and member.bridge, "the bridge")
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: bench.site.got("/agent-done"), "the agent's action")
    told = bench.site.got("/agent-done")[0].params
    assert (told["DialCallStatus"], told["DialCallSid"], told["DialBridged"]) == ("completed", caller, "true")
    assert told["DialCallDuration"].isdigit()


async def test_hanging_up_while_waiting(bench: Bench) -> None:
    """A caller who gives up is out of the queue, and the action is asked with ``hangup``."""
    caller = await waiting(bench)
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: bench.site.got("/queued", QueueResult="hangup"), "the action")
    assert bench.emulator.world.queues.member(caller) is None
    assert bench.status(caller) == "completed"


async def test_the_wait_document_loops(bench: Bench) -> None:
    """WaitUrl is asked again and again with place, times and sizes; ``<Leave/>`` leads to the action."""
    pages = iter(["<Response><Say>wait</Say></Response>"] * 2 + ["<Response><Leave/></Response>"])
    bench.site.pages["/music"] = lambda _: next(pages)
    caller = await waiting(bench, f'waitUrl="{bench.url("/music")}" maxQueueSize="7"')
    await bench.until(lambda: bench.site.got("/queued", QueueResult="leave", CallSid=caller), "the action")
    asked = bench.site.got("/music")
    assert len(asked) == 3
    assert (asked[0].params["QueuePosition"], asked[0].params["CurrentQueueSize"]) == ("1", "1")
    assert asked[0].params["MaxQueueSize"] == "7"
    assert {"QueueSid", "QueueTime", "AvgQueueTime", "CallSid", "CallStatus"} <= set(asked[0].params)


async def test_a_full_queue(bench: Bench) -> None:
    """Who finds the queue full goes on with the action at once."""
    await waiting(bench, 'maxQueueSize="1"')
    await bench.caller('<Response><Enqueue action="/queued">support</Enqueue></Response>', from_="+15550100009")
    await bench.until(lambda: bench.site.got("/queued", QueueResult="queue-full"), "the action")


async def test_a_broken_wait_document(bench: Bench) -> None:
    """A wait document with a forbidden verb ends the wait with ``error`` and 13238."""
    bench.site.pages["/music"] = "<Response><Record/></Response>"
    await bench.caller(f'<Response><Enqueue action="/queued" waitUrl="{bench.url("/music")}">q</Enqueue></Response>')
    await bench.until(lambda: bench.site.got("/queued", QueueResult="error"), "the action")
    assert [alert.code for alert in bench.emulator.world.alerts.entries] == [13238]


@pytest.mark.parametrize("key", ["Front", "its own SID"])
async def test_dequeued_by_rest(bench: Bench, key: str) -> None:
    """POST on a member sends the caller to other TwiML; the action hears ``redirected``."""
    caller = await waiting(bench)
    bench.site.pages["/moved"] = LONG
    member = f"/Queues/{await queue_sid(bench)}/Members/{key if key == 'Front' else caller}.json"
    status, body = await bench.rest("POST", member, {"Url": bench.url("/moved")})
    assert (status, body["call_sid"], body["position"]) == (200, caller, 1)
    await bench.until(lambda: bench.site.got("/moved", CallSid=caller), "the new TwiML")
    await bench.until(lambda: bench.site.got("/queued", QueueResult="redirected"), "the action")
    assert (await bench.rest("GET", member))[0] == 404


async def test_redirected_by_a_call_update(bench: Bench) -> None:
    """Redirecting the waiting call takes it out of the queue."""
    caller = await waiting(bench)
    bench.site.pages["/moved"] = LONG
    await bench.rest("POST", f"/Calls/{caller}.json", {"Url": bench.url("/moved")})
    await bench.until(lambda: bench.site.got("/queued", QueueResult="redirected", CallSid=caller), "the action")
    assert bench.emulator.world.queues.member(caller) is None
    assert bench.status(caller) == "in-progress"


async def test_dialling_an_empty_or_unknown_queue(bench: Bench) -> None:
    """An empty queue is waited for as long as the Dial's timeout; one that does not exist has failed."""
    await bench.rest("POST", "/Queues.json", {"FriendlyName": "empty"})
    await bench.caller('<Response><Dial action="/d" timeout="0.05"><Queue>empty</Queue></Dial></Response>')
    await bench.until(lambda: bench.site.got("/d", DialCallStatus="no-answer"), "no-answer")
    await bench.caller('<Response><Dial action="/d"><Queue>nowhere</Queue></Dial></Response>')
    await bench.until(lambda: bench.site.got("/d", DialCallStatus="failed"), "failed")


async def test_the_queue_resource(bench: Bench) -> None:
    """A queue is created, changed, not deleted while somebody waits in it, and then deleted."""
    status, made = await bench.rest("POST", "/Queues.json", {"FriendlyName": "support", "MaxSize": "3"})
    assert (status, made["friendly_name"], made["max_size"], made["current_size"]) == (201, "support", 3, 0)
    assert (await bench.rest("POST", "/Queues.json", {"FriendlyName": "support"}))[1]["code"] == 22003
    path = f"/Queues/{made['sid']}.json"
    assert (await bench.rest("POST", path, {"MaxSize": "4"}))[1]["max_size"] == 4
    caller = await waiting(bench)
    assert (await bench.rest("GET", path))[1]["current_size"] == 1
    assert (await bench.rest("DELETE", path))[1]["code"] == 22006
    await bench.control("POST", f"/calls/{caller}/hangup")
    await bench.until(lambda: bench.emulator.world.queues.member(caller) is None, "an empty queue")
    assert (await bench.rest("DELETE", path))[0] == 204
    assert (await bench.rest("GET", path))[0] == 404


# -- as a task --------------------------------------------------------------------------------------------------------


async def enqueued(center: Center) -> str:
    """Let a caller become a task of the seeded workflow; return the CallSid."""
    (workflow,) = center.workspace.workflows.values()
    task = '<Task priority="3">{"queue": "sales", "language": "en"}</Task>'
    noun = f'<Enqueue action="/queued" workflowSid="{workflow.sid}">{task}</Enqueue>'
    caller = await center.bench.caller(f"<Response>{noun}<Hangup/></Response>")
    await center.until(lambda: center.workspace.tasks, "the task")
    return caller


async def test_a_caller_becomes_a_task(center: Center) -> None:
    """``<Enqueue workflowSid>`` makes a voice task with the attributes of ``<Task>`` and of the call."""
    caller = await enqueued(center)
    task = center.only_task()
    assert (task.channel.unique_name, task.priority) == ("voice", 3)
    assert task.attributes.items() >= {"queue": "sales", "language": "en", "call_sid": caller, "from": CALLER}.items()


async def test_a_caller_who_gives_up_cancels_the_task(center: Center) -> None:
    """The task of a caller who hangs up is canceled, and so is its reservation."""
    caller = await enqueued(center)
    task = center.only_task()
    await center.until_status(task, "reserved")
    await center.control("POST", f"/calls/{caller}/hangup")
    await center.until_status(task, "canceled")
    assert (task.reason, task.reservations[0].status) == ("hangup", "canceled")


async def test_the_instruction_dequeue(center: Center) -> None:
    """``dequeue`` calls the worker, bridges the caller, accepts; when the worker hangs up the task is completed."""
    unavailable = center.activity("Unavailable")
    center.answers({"instruction": "dequeue", "from": NUMBER, "post_work_activity_sid": unavailable.sid})
    caller = await enqueued(center)
    task = center.only_task()
    await center.until_status(task, "assigned")
    leg = task.reservations[0].worker_call_sid
    assert task.attributes["worker_call_sid"] == leg
    queues = center.bench.emulator.world.queues
    await center.until(lambda: (member := queues.member(caller)) and member.bridge, "the bridge")
    await center.control("POST", f"/calls/{leg}/hangup")
    await center.until_status(task, "completed")
    await center.until(lambda: center.bench.site.got("/queued", QueueResult="bridged"), "the action")
    await center.until(lambda: task.reservations[0].worker.activity is unavailable, "the activity after work")


async def test_an_enqueued_caller_is_conferenced(center: Center) -> None:
    """The conference instruction moves an enqueued caller without cancelling its task."""
    center.answers({"instruction": "conference", "from": NUMBER})
    caller = await enqueued(center)
    task = center.only_task()
    await center.until_status(task, "assigned")
    await center.until(lambda: center.bench.joined(task.sid, caller), "the caller in the conference")
    assert task.status == "assigned"


async def test_dialling_a_reservation(center: Center) -> None:
    """``<Queue reservationSid>`` bridges that task's caller and accepts the reservation; a stale one is 14215."""
    bench = center.bench
    caller = await enqueued(center)
    task = center.only_task()
    await center.until_status(task, "reserved")
    noun = f'<Queue reservationSid="{task.reservations[0].sid}"/>'
    bench.site.pages["/agent"] = f'<Response><Dial action="/d">{noun}</Dial></Response>'
    form = {"To": "client:alice", "From": NUMBER, "Url": bench.url("/agent")}
    await bench.rest("POST", "/Calls.json", form)
    await center.until_status(task, "assigned")
    await bench.rest("POST", "/Calls.json", form)
    await center.until(lambda: bench.site.got("/d", DialCallStatus="failed"), "the stale reservation")
    assert [alert.code for alert in bench.emulator.world.alerts.entries] == [14215]
    await center.control("POST", f"/calls/{caller}/hangup")
    await center.until_status(task, "completed")
