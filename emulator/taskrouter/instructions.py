"""Assignment instructions: ``accept reject call redirect dequeue conference``, from a callback's answer or from REST.

One form for both: names as REST spells them without the instruction's own prefix (``To``, ``Url``, ``CallSid``).
The conference instruction is ``conferencing.py``.
"""

from dataclasses import dataclass

from emulator import call as calls
from emulator.entities import Call, Direction, RecordingWish, Source, Subscription
from emulator.errors import Alert, EmulatorError
from emulator.taskrouter import conferencing, reservations, tasks, told
from emulator.taskrouter.entities import Activity, Reservation, ReservationStatus, TaskStatus
from emulator.world import World

KNOWN = frozenset({"accept", "reject", "call", "redirect", "dequeue", "conference"})
CALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
NOT_PENDING = {
    "conference": Alert.CONFERENCE_NOT_PENDING,
    "dequeue": Alert.DEQUEUE_NOT_PENDING,
    "call": Alert.CALL_NOT_PENDING,
}
DEFAULT_TIMEOUT_S = 60.0


class InstructionError(EmulatorError):
    """An instruction that cannot be carried out; ``alert`` is the debugger's code, REST's too."""

    def __init__(self, alert: Alert, detail: str) -> None:
        super().__init__(f"{int(alert)}: {detail}")
        self.alert = alert
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction and its parameters; lists are space-separated."""

    name: str
    values: dict[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter."""
        return self.values.get(name, "") or default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean parameter."""
        return self.values[name].lower() == "true" if self.values.get(name) else default

    def seconds(self, name: str, default: float) -> float:
        """Return a duration."""
        value = self.values.get(name, "")
        return float(value) if value.isdigit() else default

    def subscription(self, prefix: str, default: frozenset[str]) -> Subscription:
        """Return a callback: ``<prefix>``, ``<prefix>Method``, ``<prefix>Event``."""
        words = frozenset(self.text(f"{prefix}Event").replace(",", " ").split())
        return Subscription(self.text(prefix), self.text(f"{prefix}Method", "POST").upper(), words or default)


def from_json(given: dict[str, object]) -> Instruction:
    """Read an assignment callback's answer; its keys are snake_case.

    Raises:
        InstructionError: 55555 for an instruction that is none.

    """
    name = str(given.pop("instruction"))
    if name not in KNOWN:
        raise InstructionError(Alert.INSTRUCTION_INVALID, f"instruction {name!r}: expected one of {sorted(KNOWN)}")
    values = {"".join(part.capitalize() for part in key.split("_")): _text(value) for key, value in given.items()}
    if "StatusCallbackUrl" in values:
        values.setdefault("StatusCallback", values.pop("StatusCallbackUrl"))
    if "StatusCallbackEvents" in values:
        values.setdefault("StatusCallbackEvent", values.pop("StatusCallbackEvents"))
    return Instruction(name, values)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return "" if value is None else str(value)


def begin(world: World, reservation: Reservation, instruction: Instruction) -> None:
    """Carry out an instruction; what takes time goes on beside.

    Raises:
        InstructionError: the reservation is not pending any more, or a parameter is missing.

    """
    if reservation.status is not ReservationStatus.PENDING:
        alert = NOT_PENDING.get(instruction.name, Alert.INSTRUCTION_INVALID)
        raise InstructionError(alert, f"the reservation is no longer pending but {reservation.status.value}")
    match instruction.name:
        case "accept":
            reservations.accept(world, reservation)
        case "reject":
            reservations.reject(world, reservation, _activity(reservation, instruction))
        case "redirect":
            _redirect(world, reservation, instruction)
        case "call":
            _call(world, reservation, instruction)
        case "dequeue":
            _dequeue(world, reservation, instruction)
        case _:
            _conference(world, reservation, instruction)


def _activity(reservation: Reservation, instruction: Instruction) -> Activity | None:
    sid = instruction.text("ActivitySid")
    activity = reservation.task.workspace.activities.get(sid)
    if sid and activity is None:
        raise InstructionError(Alert.INSTRUCTION_INVALID, f"activity {sid} does not exist")
    return activity


def worker_leg(world: World, reservation: Reservation, instruction: Instruction) -> Call:
    """Make the call to the worker's ``contact_uri``, or to where the instruction says.

    Raises:
        InstructionError: nobody to call, or nothing to call from.

    """
    to = instruction.text("To") or str(reservation.worker.attributes.get("contact_uri", ""))
    if not to:
        raise InstructionError(Alert.CALL_FAILED, "the worker has no contact_uri and the instruction no To")
    from_ = instruction.text("From")
    if not from_:
        raise InstructionError(Alert.FROM_MISSING, f"the {instruction.name} instruction needs From")
    now = world.clock.now()
    record = instruction.text("Record", "do-not-record") not in {"do-not-record", "false"}
    return Call(
        sid=world.sids.new("CA"),
        account_sid=reservation.task.workspace.account_sid,
        to=to,
        from_=from_,
        direction=Direction.OUTBOUND_API,
        created_at=now,
        updated_at=now,
        progress=instruction.subscription("StatusCallback", frozenset({"completed"})),
        timeout_s=instruction.seconds("Timeout", DEFAULT_TIMEOUT_S),
        record=RecordingWish("OutboundAPI") if record else None,
    )


def _redirect(world: World, reservation: Reservation, instruction: Instruction) -> None:
    call = world.calls.get(instruction.text("CallSid"))
    url = instruction.text("Url")
    if call is None or not call.live or not url:
        raise InstructionError(Alert.INSTRUCTION_INVALID, "redirect needs CallSid, a live call, and Url")
    world.redirect_call(world, call, Source(url))
    if instruction.flag("Accept"):
        reservations.accept(world, reservation)


def _call(world: World, reservation: Reservation, instruction: Instruction) -> None:
    """Call the worker and run the URL there; ``accept`` accepts the reservation when the worker answers."""
    if not instruction.text("Url"):
        raise InstructionError(Alert.INSTRUCTION_INVALID, "the call instruction needs Url")
    call = worker_leg(world, reservation, instruction)
    call.source = Source(instruction.text("Url"))
    reservation.worker_call_sid = call.sid
    reservation.acting = world.spawn(_until_answered(world, reservation, call, instruction), "call-instruction")
    world.dial_leg(world, call)


async def _until_answered(world: World, reservation: Reservation, call: Call, instruction: Instruction) -> None:
    if await conferencing.answered(world, reservation, call) and instruction.flag("Accept"):
        reservations.accept(world, reservation)


def _dequeue(world: World, reservation: Reservation, instruction: Instruction) -> None:
    """Call the worker and bridge the caller who waits in the queue."""
    member = world.queues.member(told.call_of(reservation.task))
    if member is None or member.task_sid != reservation.task.sid:
        raise InstructionError(Alert.DEQUEUE_NOT_PENDING, "dequeue is for tasks whose caller waits in <Enqueue>")
    call = worker_leg(world, reservation, instruction)
    reservation.worker_call_sid = call.sid
    activity = reservation.task.workspace.activities.get(instruction.text("PostWorkActivitySid"))
    reservation.acting = world.spawn(_bridge(world, reservation, call, activity), "dequeue-instruction")
    world.dial_leg(world, call)


async def _bridge(world: World, reservation: Reservation, call: Call, activity: Activity | None) -> None:
    if not await conferencing.answered(world, reservation, call):
        reservations.fail(world, reservation, f"the worker's leg ended as {call.status.value}")
        return
    task = reservation.task
    tasks.set_attributes(world, task, {**task.attributes, "worker_call_sid": call.sid})
    reservations.accept(world, reservation)
    await world.queues.serve(told.call_of(task), call)
    if call.source is None:  # not redirected while it talked
        calls.cancel(world, call)
    if task.status is TaskStatus.ASSIGNED:
        tasks.complete(world, task, "hangup")
    if activity is not None:
        conferencing.move(world, reservation, activity)


def _conference(world: World, reservation: Reservation, instruction: Instruction) -> None:
    attributes = reservation.task.attributes
    if not attributes.get("call_sid") and not attributes.get("outbound_to"):
        raise InstructionError(Alert.CONFERENCE_WITHOUT_CALL, "the task's attributes have no call_sid or outbound_to")
    caller = world.calls.get(told.call_of(reservation.task))
    if attributes.get("call_sid") and (caller is None or not caller.live):
        raise InstructionError(Alert.CALL_FAILED, "the caller's call is over")
    from_ = instruction.text("From")
    if from_ not in world.numbers and from_ not in world.config.verified_caller_ids:
        raise InstructionError(Alert.FROM_MISSING, "From must be a number of the account")
    call = worker_leg(world, reservation, instruction)
    reservation.worker_call_sid = call.sid
    conferencing.begin(world, reservation, call, caller, conferencing.Plan.read(instruction.values))
