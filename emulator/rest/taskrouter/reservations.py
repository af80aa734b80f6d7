"""The Reservation resource, below a task or a worker: status updates, instructions (twilio-facts.md 5.1, 5.2)."""

from aiohttp import web

from emulator.errors import RestError, not_emulated
from emulator.rest.answer import WORLD, filters
from emulator.rest.form import Form, Parameters, read_form
from emulator.rest.taskrouter.answer import (
    V1,
    bad,
    base,
    check_version,
    dates,
    missing,
    page,
    pick,
    tagged,
    workspace_of,
)
from emulator.rest.taskrouter.workspaces import activity
from emulator.taskrouter import instructions, reservations, tasks, workers
from emulator.taskrouter.entities import Reservation, ReservationStatus, TaskStatus
from emulator.world import World

CONFERENCE_EVENTS = frozenset({"start", "end", "join", "leave", "mute", "hold", "speaker"})
"""Those of a Participants create without ``modify`` and ``announcement`` (twilio-facts.md 5.2)."""
STATUSES = frozenset(status.value for status in ReservationStatus)
PREFIXED = {"dequeue": "Dequeue", "call": "Call", "redirect": "Redirect"}
"""How REST names the parameters of an instruction; the conference instruction's carry no prefix."""
SHARED = frozenset({"ReservationStatus", "WorkerActivitySid", "Instruction"})
OF_INSTRUCTION = {
    "dequeue": frozenset({"PostWorkActivitySid", "From", "Record", "Timeout", "To", "StatusCallbackUrl"}),
    "call": frozenset({"From", "Record", "Timeout", "To", "Url", "StatusCallbackUrl", "Accept"}),
    "redirect": frozenset({"CallSid", "Accept", "Url"}),
}
OF_CONFERENCE = frozenset(
    {
        "To",
        "From",
        "StatusCallback",
        "StatusCallbackMethod",
        "StatusCallbackEvent",
        "Timeout",
        "Record",
        "Muted",
        "Beep",
        "StartConferenceOnEnter",
        "EndConferenceOnExit",
        "WaitUrl",
        "WaitMethod",
        "EarlyMedia",
        "MaxParticipants",
        "ConferenceStatusCallback",
        "ConferenceStatusCallbackMethod",
        "ConferenceStatusCallbackEvent",
        "ConferenceRecord",
        "ConferenceRecordingStatusCallback",
        "ConferenceRecordingStatusCallbackMethod",
        "EndConferenceOnCustomerExit",
        "BeepOnCustomerEntrance",
    }
)
HARMLESS = frozenset({"ConferenceTrim", "RecordingChannels", "Region", "JitterBufferSize", "PostWorkActivitySid"})
UPDATE = Parameters(
    SHARED
    | OF_CONFERENCE
    | {"DequeueStatusCallbackEvent"}
    | {PREFIXED[name] + rest for name, names in OF_INSTRUCTION.items() for rest in names},
    HARMLESS,
)


def resource(request: web.Request, reservation: Reservation) -> V1:
    """Return a reservation as JSON; its URL is the path that it was asked for by."""
    task, worker = reservation.task, reservation.worker
    home = base(request, task.workspace.sid)
    links: dict[str, str | None] = {
        "task": f"{home}/Tasks/{task.sid}",
        "worker": f"{home}/Workers/{worker.sid}",
        "workspace": home,
    }
    owner = links["worker"] if "worker" in request.match_info else links["task"]
    return {
        "account_sid": task.workspace.account_sid,
        **dates(reservation),
        "reservation_status": reservation.status.value,
        "sid": reservation.sid,
        "task_sid": task.sid,
        "worker_name": worker.friendly_name,
        "worker_sid": worker.sid,
        "workspace_sid": task.workspace.sid,
        "url": f"{owner}/Reservations/{reservation.sid}",
        "links": links,
    }


def _owned(request: web.Request) -> list[Reservation]:
    """Return the reservations of the task or worker in the path."""
    workspace = workspace_of(request)
    if "worker" in request.match_info:
        worker = pick(request, workspace.workers, "worker")
        return [one for one in workspace.reservations.values() if one.worker is worker]
    return pick(request, workspace.tasks, "task").reservations


def find(request: web.Request) -> Reservation:
    """Return the reservation in the path.

    Raises:
        RestError: 404.

    """
    for reservation in _owned(request):
        if reservation.sid == request.match_info["sid"]:
            return reservation
    raise missing(request)


async def fetch(request: web.Request) -> web.Response:
    """``GET …/Reservations/{WR}``."""
    reservation = find(request)
    return tagged(resource(request, reservation), reservation.version)


async def listing(request: web.Request) -> web.Response:
    """``GET …/Reservations``."""
    wanted = filters(request, frozenset({"ReservationStatus", "WorkerSid"}))
    found = [
        one
        for one in _owned(request)
        if wanted.get("ReservationStatus") in {None, one.status.value}
        and wanted.get("WorkerSid") in {None, one.worker.sid}
    ]
    return page(request, "reservations", found, lambda one: one.sid, lambda one: resource(request, one))


async def update(request: web.Request) -> web.Response:
    """``POST …/Reservations/{WR}``: a status, or an instruction."""
    world, form = request.app[WORLD], await read_form(request)
    reservation = find(request)
    if form.text("Instruction") == "supervise":
        raise not_emulated("the Instruction supervise, which is Flex's")
    form.check(UPDATE, "Reservations update")
    form.subscription("StatusCallback", instructions.CALL_EVENTS, frozenset())
    form.subscription("ConferenceStatusCallback", CONFERENCE_EVENTS, frozenset())
    check_version(request, reservation.version)
    status = form.choice("ReservationStatus", STATUSES)
    name = form.choice("Instruction", instructions.KNOWN)
    wanted = activity(reservation.task.workspace, form, "WorkerActivitySid")
    if status:
        _enter(world, reservation, status)
    elif name:
        _instruct(world, reservation, _instruction(form, name))
    if wanted is not None:
        workers.set_activity(world, reservation.task.workspace, reservation.worker, wanted)
    return tagged(resource(request, reservation), reservation.version)


def _enter(world: World, reservation: Reservation, status: str) -> None:
    """Enter a status that a worker can give: accepted, rejected, wrapping, completed; canceled with its task."""
    needs = {
        "accepted": {ReservationStatus.PENDING},
        "rejected": {ReservationStatus.PENDING},
        "wrapping": {ReservationStatus.ACCEPTED},
        "completed": {ReservationStatus.ACCEPTED, ReservationStatus.WRAPPING},
    }
    if status not in needs:
        raise bad(f"ReservationStatus {status} is TaskRouter's own to give; expected one of {sorted(needs)}")
    if reservation.status not in needs[status]:
        message = f"Cannot update reservation status from {reservation.status.value} to {status}"
        raise RestError(world.switches.taskrouter_state_status, 20001, message)
    task = reservation.task
    if status == "accepted":
        reservations.accept(world, reservation)
    elif status == "rejected":
        reservations.reject(world, reservation)
    elif status == "wrapping":
        tasks.wrap(world, task)
    elif task.status in {TaskStatus.ASSIGNED, TaskStatus.WRAPPING}:
        tasks.complete(world, task)


def _instruction(form: Form, name: str) -> instructions.Instruction:
    """Return the form's parameters for this instruction, without the instruction's prefix."""
    prefix = PREFIXED.get(name, "")
    values = {
        key.removeprefix(prefix): " ".join(sorted(form.many(key))) if key.endswith("Event") else form.text(key)
        for key, _ in form.pairs
        if key.startswith(prefix) and key not in SHARED
    }
    if "StatusCallbackUrl" in values:
        values["StatusCallback"] = values.pop("StatusCallbackUrl")
    if name == "reject":
        values["ActivitySid"] = form.text("WorkerActivitySid")
    return instructions.Instruction(name, values)


def _instruct(world: World, reservation: Reservation, instruction: instructions.Instruction) -> None:
    try:
        instructions.begin(world, reservation, instruction)
    except instructions.InstructionError as error:
        raise RestError(world.switches.taskrouter_state_status, int(error.alert), error.detail) from error
