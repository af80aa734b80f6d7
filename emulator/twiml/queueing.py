"""``<Enqueue>`` and ``<Dial><Queue>``: a caller waits, somebody takes the first one (twilio-facts.md 4.3)."""

import asyncio
from dataclasses import dataclass

from emulator import bridge, media, payloads
from emulator import call as calls
from emulator.entities import Call, CallStatus, Source
from emulator.errors import Alert, DocumentError
from emulator.queues import DEFAULT_MAX_SIZE, Member, Outcome, Queue
from emulator.taskrouter import intake, reservations, tasks
from emulator.taskrouter.entities import Reservation, ReservationStatus, Task, Workflow, Workspace
from emulator.twiml import aside
from emulator.twiml.digits import action
from emulator.twiml.document import Document
from emulator.twiml.verbs import Dial, Enqueue, QueueNoun
from emulator.world import World

QUEUE_MUSIC = "Twilio's queue music"
VOICE = "voice"


@dataclass(frozen=True, slots=True)
class _Wait:
    """One caller's wait: what it says and the member that it made."""

    call: Call
    document: Document
    verb: Enqueue
    member: Member


# -- Enqueue ----------------------------------------------------------------------------------------------------------


async def enqueue(world: World, call: Call, document: Document, verb: Enqueue) -> Source | None:
    """Wait in the queue; go on with the action, or where a dequeue by REST leads."""
    found = _workflow(world, call, verb)
    if verb.workflow_sid and found is None:
        world.alert(Alert.ENQUEUE_INVALID, f"no workflow {verb.workflow_sid}", call.sid, document.url)
        return action(document, verb.action, verb.method, QueueResult="error")
    size = DEFAULT_MAX_SIZE if verb.max_queue_size is None else verb.max_queue_size
    queue = world.queues.open(call.account_sid, verb.name or verb.workflow_sid, size)
    if len(queue.members) >= queue.max_size:
        return action(document, verb.action, verb.method, QueueResult="queue-full", QueueSid=queue.sid, QueueTime="0")
    wait = _Wait(call, document, verb, world.queues.enter(call, queue))
    task = _task(world, wait, *found) if found else None
    player = world.spawn(_music(world, wait), "queue-music")
    try:
        return await _end(world, wait, player)
    except asyncio.CancelledError:
        result = ("redirected-from-bridged" if wait.member.bridge else "redirected") if call.live else "hangup"
        aside.last_word(world, call, _action(world, wait, result), payloads.voice_fields(call))
        raise
    finally:
        player.cancel()
        world.queues.forget(wait.member)
        if task is not None and not wait.member.claimed:
            tasks.cancel(world, task, "redirected" if call.live else "hangup")


def _workflow(world: World, call: Call, verb: Enqueue) -> tuple[Workspace, Workflow] | None:
    for workspace in world.workspaces.values():
        workflow = workspace.workflows.get(verb.workflow_sid)
        if workflow is not None and workspace.account_sid == call.account_sid:
            return workspace, workflow
    return None


def _task(world: World, wait: _Wait, workspace: Workspace, workflow: Workflow) -> Task:
    """Make the caller's task: the attributes of ``<Task>`` and those of the call."""
    call, verb = wait.call, wait.verb
    known: dict[str, object] = {
        "from_country": payloads.country(call.from_),
        "called": call.to,
        "to_country": payloads.country(call.to),
        "account_sid": call.account_sid,
        "from": call.from_,
        "caller": call.from_,
        "to": call.to,
        "direction": call.direction.value,
        "call_sid": call.sid,
        "call_status": call.status.value,
        "api_version": payloads.API_VERSION,
    }
    wish = intake.Wish(
        attributes={**known, **verb.task},
        channel=intake.channel_named(workspace, VOICE) or next(iter(workspace.channels.values())),
        workflow=workflow,
        timeout_s=verb.task_timeout_s,
        priority=verb.task_priority,
    )
    task = intake.create(world, workspace, wish)
    wait.member.task_sid = task.sid
    return task


async def _end(world: World, wait: _Wait, player: "asyncio.Task[None]") -> Source | None:
    member = wait.member
    await world.until(lambda: member.bridge is not None or member.outcome is not None, wait.call.sid)
    player.cancel()
    if member.bridge is not None:
        await bridge.stay(world, member.bridge, wait.call)
        return _action(world, wait, "bridged")
    outcome = member.outcome or Outcome("error")
    if outcome.source is not None:
        aside.last_word(world, wait.call, _action(world, wait, outcome.result), payloads.voice_fields(wait.call))
        return outcome.source
    return _action(world, wait, outcome.result)


def _action(world: World, wait: _Wait, result: str) -> Source | None:
    member = wait.member
    waited = (member.bridge.started_at if member.bridge else world.clock.now()) - member.enqueued_at
    return action(
        wait.document,
        wait.verb.action,
        wait.verb.method,
        QueueResult=result,
        QueueSid=member.queue.sid,
        QueueTime=str(round(waited)),
    )


async def _music(world: World, wait: _Wait) -> None:
    """Play the wait document again and again, unlike a conference's."""
    verb, call, queues = wait.verb, wait.call, world.queues
    if not verb.wait_url:
        what = QUEUE_MUSIC if verb.wait_url is None else media.SILENCE
        world.tell("hears", call, what=what, because="queue")
        return
    source = Source(wait.document.absolute(verb.wait_url), verb.wait_method)
    try:
        while True:
            ending = await aside.run(world, "queue-music", call, source, lambda: _fields(world, wait))
            if ending is aside.Ending.LEAVE:
                queues.leave(wait.member, Outcome("leave"))
                return
            if ending is aside.Ending.HANGUP:
                calls.cancel(world, call)
                return
            await world.clock.sleep(media.MIN_SOUND_S)
    except DocumentError as error:
        world.alert(error.code, f"queue music: {error.detail}", call.sid, error.url)
        queues.leave(wait.member, Outcome("error"))


def _fields(world: World, wait: _Wait) -> dict[str, str]:
    """Return what a queue's wait document is asked with."""
    member, now = wait.member, world.clock.now()
    queue = member.queue
    return {
        **payloads.voice_fields(wait.call),
        "QueuePosition": str(queue.position(member)),
        "QueueSid": queue.sid,
        "QueueTime": str(round(now - member.enqueued_at)),
        "AvgQueueTime": str(queue.average_wait_s(now)),
        "CurrentQueueSize": str(len(queue.members)),
        "MaxQueueSize": str(queue.max_size),
    }


# -- Dial of a queue --------------------------------------------------------------------------------------------------


async def dial(world: World, call: Call, document: Document, verb: Dial, noun: QueueNoun) -> Source | None:
    """Take the first caller of the queue, or the one whose reservation is named, and talk."""
    queue = world.queues.named(call.account_sid, noun.name)
    reservation = _reservation(world, noun)
    if noun.reservation_sid and reservation is None:
        world.alert(Alert.QUEUE_RESERVATION_INVALID, "reservationSid names no pending reservation", call.sid)
        return action(document, verb.action, verb.method, DialCallStatus="failed", DialBridged="false")
    if queue is None and reservation is None:
        return action(document, verb.action, verb.method, DialCallStatus="failed", DialBridged="false")
    member = await _front(world, call, verb, queue, reservation)
    if member is None:
        return action(document, verb.action, verb.method, DialCallStatus="no-answer", DialBridged="false")
    if noun.url and not await _warn(world, call, document, noun, member):
        return action(document, verb.action, verb.method, DialCallStatus="failed", DialBridged="false")
    if reservation is not None:
        reservations.accept(world, reservation)
    talk = world.queues.connect(member, call)
    await bridge.stay(world, talk, call)
    if reservation is not None:
        _work_is_done(world, reservation)
    return action(
        document,
        verb.action,
        verb.method,
        DialCallStatus="completed",
        DialCallSid=member.call.sid,
        DialCallDuration=str(talk.seconds(world.clock.now())),
        DialBridged="true",
    )


def _reservation(world: World, noun: QueueNoun) -> Reservation | None:
    for workspace in world.workspaces.values():
        found = workspace.reservations.get(noun.reservation_sid)
        if found is not None and found.status is ReservationStatus.PENDING:
            return found
    return None


def _work_is_done(world: World, reservation: Reservation) -> None:
    tasks.complete(world, reservation.task, "hangup")


async def _front(
    world: World, call: Call, verb: Dial, queue: Queue | None, reservation: Reservation | None
) -> Member | None:
    """Return the next caller, waiting for one as long as the Dial's timeout."""

    def next_one() -> Member | None:
        if reservation is not None:
            sid = str(reservation.task.attributes.get("call_sid", ""))
            member = world.queues.member(sid)
            return member if member is not None and member.bridge is None else None
        return queue.members[0] if queue is not None and queue.members else None

    try:
        await world.clock.within(world.until(lambda: next_one() is not None or not call.live), verb.timeout_s)
    except TimeoutError:
        return None
    return next_one()


async def _warn(world: World, call: Call, document: Document, noun: QueueNoun, member: Member) -> bool:
    """Let the caller hear the noun's document before the bridge; False when it is gone afterwards."""
    world.queues.take(member)
    fields = {
        **payloads.voice_fields(member.call),
        "QueueSid": member.queue.sid,
        "QueueTime": str(round(world.clock.now() - member.enqueued_at)),
        "DequeingCallSid": call.sid,
    }
    try:
        await aside.run(world, "whisper", member.call, Source(document.absolute(noun.url), noun.method), lambda: fields)
    except DocumentError as error:
        world.alert(error.code, f"<Queue url>: {error.detail}", call.sid, error.url)
    return member.call.status is CallStatus.IN_PROGRESS
