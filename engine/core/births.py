"""How a call begins: a caller's webhook, an agent's browser, `call.dial`, or a task that others have enqueued."""

from engine.core import advice, answers, sessions, tasks
from engine.core.assistants import fits
from engine.core.config import CoreConfig
from engine.core.dialling import dial as dial_leg
from engine.core.dialling import role_of
from engine.core.effects import Step
from engine.core.reaping import REAP, REAP_EVERY_MS
from engine.core.turn import CALL, Turn
from schemas.commands import Dial, InvalidCommandError, decode_data
from schemas.ids import is_call_sid, room_of
from schemas.records import Command, Webhook
from schemas.state import DEFINITION, Call, CallState, Direction, Leg, LegState, Role, Room, Task
from schemas.targets import ENQUEUE, target_of_address
from schemas.task_attributes import read_task_attributes
from schemas.task_states import TaskState
from schemas.webhooks import Assignment, TaskEvent, VoiceRequest

IN_CONVERSATION = "conversation"
IN_QUEUE = "queue"
"""What the ingress says that it has answered."""
CLIENT_PREFIX = "client:"


def by_webhook(config: CoreConfig, record: Webhook, form: VoiceRequest) -> Turn:
    """A call that begins with a TwiML request: from a caller, or from an agent's browser (`From=client:…`)."""
    outbound = form.from_.startswith(CLIENT_PREFIX)
    role = Role.AGENT if outbound else Role.CUSTOMER
    number = config.number if outbound else form.to
    customer = target_of_address(form.to if outbound else form.from_)
    from_ = target_of_address(form.from_)
    leg_id = f"{role.value}-1"
    call = Call(
        call_id=record.call_id, state=CallState.RINGING, definition=DEFINITION,
        direction=Direction.OUTBOUND if outbound else Direction.INBOUND, account_sid=form.account_sid,
        created_at=record.at, room=Room(room_of(record.call_id)), number=number,
        customer=str(customer) if customer is not None else "", counts={role.value: 1},
        policy=config.policies.of(number),
        legs=(Leg(leg_id, role, LegState.RINGING, call_sid=form.call_sid, target=str(from_) if from_ else None),),
    )  # fmt: skip
    turn = _created(Turn(call, record.at, record.id, config))
    if record.answered == IN_CONVERSATION:
        sessions.begin(turn, leg_id)
    if record.answered == IN_QUEUE:
        _enqueue(turn, call.policy.route[0].removeprefix(ENQUEUE))
    return turn


def by_task(config: CoreConfig, record: Webhook, form: Assignment | TaskEvent) -> Turn | None:
    """A call that others have put into TaskRouter's queue, named after its task; None for a task that is over.

    The customer's call is in the attributes, but for one that TaskRouter is to dial (`outbound_to`).
    """
    given = read_task_attributes(form.task_attributes)
    if not given.enqueued or (isinstance(form, TaskEvent) and form.event_type in tasks.LAST_EVENTS):
        return None
    number, outbound = given.from_ if given.outbound_to else given.to, bool(given.outbound_to)
    customer = target_of_address(given.outbound_to or given.from_)
    known = is_call_sid(given.call_sid)
    leg = Leg("customer-1", Role.CUSTOMER, LegState.RINGING, call_sid=given.call_sid,
              target=str(customer) if customer else None)  # fmt: skip
    call = Call(
        call_id=record.call_id, state=CallState.RINGING, definition=DEFINITION,
        direction=Direction.OUTBOUND if outbound else Direction.INBOUND, account_sid=form.account_sid,
        created_at=record.at, room=Room(form.task_sid, adopted=True), number=number,
        customer=str(customer) if customer is not None else "", counts={"customer": 1} if known else {},
        policy=config.policies.of(number), legs=(leg,) if known else (),
    )  # fmt: skip
    turn = _created(Turn(call, record.at, record.id, config))
    _enqueue(turn, form.task_queue_name, form.task_sid)
    return turn


def _enqueue(turn: Turn, queue: str, task_sid: str | None = None) -> None:
    task = Task("task-1", queue, Role.AGENT, TaskState.PENDING, task_sid=task_sid, enqueued=True)
    turn.set(counts={**turn.call.counts, "task": 1}, tasks=(task,))
    tasks.tell(turn, task, None)
    turn.stimulate(CALL, "enqueued")


def by_command(config: CoreConfig, command: Command) -> Turn | Step:
    """A call that begins with `call.dial`: the agent first, then the customer."""
    try:
        data = decode_data(command.name, command.data)
    except InvalidCommandError:
        return Step(None, (answers.unknown_call(command),))
    if not isinstance(data, Dial):
        return Step(None, (answers.unknown_call(command),))
    if any(tasks.queue_of(target) is not None for target in (data.agent, data.to)):
        return Step(None, (answers.refused(command, "not_a_person", advice.NOT_A_PERSON),))
    if not fits((data.agent, data.to), command.call_id, data.context or {}):
        return Step(None, (answers.refused(command, "context_too_large", advice.CONTEXT_TOO_LARGE),))
    from_ = target_of_address(data.from_) if data.from_ else None
    number = from_.twilio_address if from_ is not None else config.number
    call = Call(
        call_id=command.call_id, state=CallState.RINGING, direction=Direction.OUTBOUND, account_sid=config.account_sid,
        created_at=command.at, room=Room(room_of(command.call_id)), number=number, customer=data.to,
        policy=config.policies.of(number), context=data.context or {}, definition=DEFINITION,
    )  # fmt: skip
    turn = _created(Turn(call, command.at, command.id, config))
    turn.deadline = command.deadline
    answers.open_command(turn, command, dial_leg(turn, role_of(data.agent), data.agent))
    return turn


def _created(turn: Turn) -> Turn:
    call = turn.call
    turn.tell_call("call.created", to=call.state.value, direction=call.direction.value, room=call.room.name)
    turn.arm(REAP, REAP_EVERY_MS)
    return turn
