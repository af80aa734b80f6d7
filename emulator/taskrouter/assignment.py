"""The assignment callback: a reservation is put to the workflow's URL, its answer is carried out (twilio-facts.md 5.1).

What an instruction does is ``instructions.py``.
"""

from http import HTTPStatus

import msgspec

from emulator.errors import Alert
from emulator.exchange import ExchangeFailedError, Reply
from emulator.faults import Effect
from emulator.journal import Exchange
from emulator.taskrouter import instructions, told
from emulator.taskrouter.entities import Reservation, ReservationStatus
from emulator.world import World

KIND = "assignment"
LIMIT_S = 5.0
"""An assignment callback is to be answered within five seconds, not fifteen."""


def fields(world: World, reservation: Reservation) -> dict[str, str]:
    """Return the callback's fields."""
    task, worker = reservation.task, reservation.worker
    return {
        "Timestamp": told.timestamp(world, world.clock.now()),
        "AccountSid": task.workspace.account_sid,
        "WorkspaceSid": task.workspace.sid,
        "WorkflowSid": task.workflow.sid if task.workflow else "",
        "TaskQueueSid": reservation.queue.sid,
        "WorkerSid": worker.sid,
        "WorkerName": worker.friendly_name,
        "WorkerAttributes": told.json_text(worker.attributes),
        "TaskSid": task.sid,
        "TaskAttributes": told.json_text(task.attributes),
        "TaskAge": str(int(world.clock.now() - task.created_at)),
        "TaskPriority": str(task.priority),
        "ReservationSid": reservation.sid,
    }


def ask(world: World, reservation: Reservation) -> None:
    """Ask what is to be done with a reservation; without a URL it waits for REST."""
    workflow = reservation.task.workflow
    if workflow is not None and workflow.assignment_callback_url:
        urls = [url for url in (workflow.assignment_callback_url, workflow.fallback_assignment_callback_url) if url]
        world.start(_ask(world, reservation, urls), f"assignment {reservation.sid}")


async def _ask(world: World, reservation: Reservation, urls: list[str]) -> None:
    for url in urls:
        try:
            answer = await _post(world, reservation, url)
            instruction = _read(answer)
        except ExchangeFailedError as error:
            world.alert(Alert.ASSIGNMENT_FAILED, f"assignment callback: {error.detail}", reservation.sid, url)
            continue
        except instructions.InstructionError as error:
            world.alert(error.alert, f"assignment callback: {error.detail}", reservation.sid, url)
            continue
        if instruction is not None and reservation.status is ReservationStatus.PENDING:
            _carry_out(world, reservation, instruction, url)
        return


def _carry_out(world: World, reservation: Reservation, instruction: instructions.Instruction, url: str) -> None:
    try:
        instructions.begin(world, reservation, instruction)
    except instructions.InstructionError as error:
        world.alert(error.alert, str(error), reservation.sid, url)


async def _post(world: World, reservation: Reservation, url: str) -> Reply:
    entry = Exchange(
        number=world.exchanges.total + 1,
        at=world.clock.now(),
        kind=KIND,
        resource=reservation.sid,
        url=url,
        method="POST",
        params=fields(world, reservation),
    )
    world.exchanges.add(entry)
    account_sid = reservation.task.workspace.account_sid
    fault = world.faults.for_callback("POST", url, KIND, "")
    entry.fault = fault.effect.value if fault else None
    if fault is not None and fault.effect is Effect.DROP:
        entry.error, entry.cause = "dropped by a fault", "fault"
        raise ExchangeFailedError("rt", entry.error)
    if fault is not None and fault.effect is Effect.DELAY:
        await world.clock.sleep(fault.delay_s)
    if fault is not None and fault.effect is Effect.DOUBLE:
        await world.exchanger.run(entry, account_sid, limit_s=LIMIT_S)
    reply = await world.exchanger.run(entry, account_sid, limit_s=LIMIT_S)
    entry.body = reply.body.decode(errors="replace")
    if reply.status != HTTPStatus.OK:
        raise ExchangeFailedError("4xx", f"HTTP {reply.status}, expected 200")
    return reply


def _read(reply: Reply) -> instructions.Instruction | None:
    """Return the instruction; None for an empty body or an empty object: REST will act.

    Raises:
        InstructionError: not JSON, without an instruction (40005), or an unknown one (55555).

    """
    if not reply.body.strip():
        return None
    if reply.content_type != "application/json":
        raise instructions.InstructionError(
            Alert.ASSIGNMENT_INVALID, f"content type {reply.content_type!r}, expected application/json"
        )
    try:
        given = msgspec.json.decode(reply.body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise instructions.InstructionError(Alert.ASSIGNMENT_INVALID, f"not a JSON object: {error}") from error
    if not given:
        return None
    if "instruction" not in given:
        raise instructions.InstructionError(Alert.ASSIGNMENT_WITHOUT_INSTRUCTION, "the answer has no instruction")
    return instructions.from_json(given)
