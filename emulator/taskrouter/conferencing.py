"""The ``conference`` instruction: the worker is dialled into a conference named after the task, then the caller moved.

Steps and parameters: twilio-facts.md 5.2. The reservation is accepted only when both are in.
"""

import asyncio
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from emulator import call as calls
from emulator import conference
from emulator.entities import (
    Call,
    CallStatus,
    Conference,
    Direction,
    JoinOptions,
    Participant,
    RecordingWish,
    RoomSettings,
    Source,
    Subscription,
)
from emulator.taskrouter import reservations, tasks, workers
from emulator.taskrouter.entities import Activity, Reservation, ReservationStatus, TaskStatus
from emulator.world import World

CONFERENCE_EVENTS = frozenset({"start", "end", "join", "leave", "mute", "hold", "speaker"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What the instruction says of the conference and of the two legs."""

    settings: RoomSettings
    worker: JoinOptions
    end_on_customer_exit: bool
    beep_on_customer: bool
    from_: str

    @classmethod
    def read(cls, values: dict[str, str]) -> "Plan":
        """Read the parameters, named as REST names them."""
        words = frozenset(values.get("ConferenceStatusCallbackEvent", "").split()) & CONFERENCE_EVENTS
        callbacks = Subscription(
            values.get("ConferenceStatusCallback", ""), _method(values, "ConferenceStatusCallbackMethod"), words
        )
        size = values.get("MaxParticipants", "")
        wait_url = values.get("WaitUrl")
        return cls(
            settings=RoomSettings(callbacks, int(size) if size.isdigit() else 250, _recording(values)),
            worker=JoinOptions(
                muted=_flag(values, "Muted"),
                start_on_enter=_flag(values, "StartConferenceOnEnter", default=True),
                end_on_exit=_flag(values, "EndConferenceOnExit"),
                wait=None if wait_url is None else Source(wait_url, _method(values, "WaitMethod")),
                early_media=_flag(values, "EarlyMedia", default=True),
                beep=values.get("Beep", "true"),
            ),
            end_on_customer_exit=_flag(values, "EndConferenceOnCustomerExit"),
            beep_on_customer=_flag(values, "BeepOnCustomerEntrance", default=True),
            from_=values.get("From", ""),
        )


def _flag(values: dict[str, str], name: str, *, default: bool = False) -> bool:
    return values[name].lower() == "true" if values.get(name) else default


def _method(values: dict[str, str], name: str) -> str:
    return (values.get(name) or "POST").upper()


def _recording(values: dict[str, str]) -> RecordingWish | None:
    if values.get("ConferenceRecord", "false") not in {"true", "record-from-start"}:
        return None
    url = values.get("ConferenceRecordingStatusCallback", "")
    told = Subscription(url, _method(values, "ConferenceRecordingStatusCallbackMethod"), frozenset({"completed"}))
    return RecordingWish("Conference", callbacks=told)


def begin(world: World, reservation: Reservation, leg: Call, caller: Call | None, plan: Plan) -> None:
    """Dial the worker into the conference named with the Task SID."""
    room = conference.open_room(world, leg.account_sid, reservation.task.sid, plan.settings)
    worker = conference.reserve(world, room, leg, plan.worker, via_api=True)
    reservation.acting = world.spawn(_connect(world, reservation, worker, caller, plan), "conference-instruction")
    world.dial_leg(world, leg)


async def answered(world: World, reservation: Reservation, leg: Call) -> bool:
    """Wait until the worker's leg is answered; False when it ends first, or when the reservation does."""
    await world.until(lambda: leg.answered_at is not None or not leg.live or not reservation.live)
    if not reservation.live:
        calls.cancel(world, leg)
    return leg.live and reservation.live


async def _connect(
    world: World, reservation: Reservation, worker: Participant, caller: Call | None, plan: Plan
) -> None:
    leg, room = worker.call, worker.conference
    await world.until(lambda: worker.joined or worker.gone.done() or not reservation.live)
    if worker.gone.done() or not await answered(world, reservation, leg):
        reservations.fail(world, reservation, f"the worker's leg ended as {leg.status.value}")
        return
    customer = _bring(world, reservation, worker, caller, plan)
    if customer is not None:
        await world.until(lambda: _joined(room, customer) or not customer.live or worker.gone.done())
    if customer is None or not _joined(room, customer) or worker.gone.done() or not reservation.live:
        reservations.fail(world, reservation, "the customer could not be moved")
        calls.cancel(world, leg)
        return
    task, people = reservation.task, {"worker": leg.sid, "customer": customer.sid}
    told = {"room_name": room.name, "sid": room.sid, "participants": people}
    tasks.set_attributes(world, task, {**task.attributes, "conference": told})
    reservations.accept(world, reservation)
    await asyncio.shield(worker.gone)
    _afterwards(world, reservation)


def _joined(room: Conference, call: Call) -> bool:
    member = room.participants.get(call.sid)
    return member is not None and member.joined


def _bring(world: World, reservation: Reservation, worker: Participant, caller: Call | None, plan: Plan) -> Call | None:
    """Redirect the caller into the conference, or dial the customer (``outbound_to``)."""
    room = worker.conference
    if caller is None:
        return _dial_out(world, reservation, worker, plan)
    if caller.status is not CallStatus.IN_PROGRESS:
        calls.answer(world, caller)
    if not caller.live:
        return None
    waiting = world.queues.member(caller.sid)
    if waiting is not None:
        waiting.claimed = True
    beep = "true" if plan.beep_on_customer else "false"
    leaves = "true" if plan.end_on_customer_exit else "false"
    noun = f"<Conference beep={quoteattr(beep)} endConferenceOnExit={quoteattr(leaves)}>{room.name}</Conference>"
    world.redirect_call(world, caller, Source(text=f"<Response><Dial>{noun}</Dial></Response>"))
    return caller


def _dial_out(world: World, reservation: Reservation, worker: Participant, plan: Plan) -> Call:
    now = world.clock.now()
    leg = Call(
        sid=world.sids.new("CA"),
        account_sid=worker.call.account_sid,
        to=str(reservation.task.attributes["outbound_to"]),
        from_=plan.from_,
        direction=Direction.OUTBOUND_API,
        created_at=now,
        updated_at=now,
    )
    options = JoinOptions(end_on_exit=plan.end_on_customer_exit)
    conference.reserve(world, worker.conference, leg, options, via_api=True)
    world.dial_leg(world, leg)
    return leg


def _afterwards(world: World, reservation: Reservation) -> None:
    """The worker has left the conference (switch ``taskrouter_after_conference``, unconfirmed)."""
    task = reservation.task
    if reservation.status is not ReservationStatus.ACCEPTED or task.status is not TaskStatus.ASSIGNED:
        return
    if world.switches.taskrouter_after_conference == "wrapping":
        tasks.wrap(world, task)
    elif world.switches.taskrouter_after_conference == "completed":
        tasks.complete(world, task)


def move(world: World, reservation: Reservation, activity: Activity) -> None:
    """Put the worker into an activity when the work is done."""
    workers.set_activity(world, reservation.task.workspace, reservation.worker, activity)
