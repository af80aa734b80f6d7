"""Placing calls: inbound ones as their callers, outbound legs as the network and the dialled party.

One task per leg (``Call.script``): it waits in the queue, rings, is answered or not, then runs TwiML or sits in its
conference. Cancelling that task is how a redirect or a hang-up stops it.
"""

import asyncio
from dataclasses import replace
from urllib.parse import parse_qsl

import structlog

from emulator import call as calls
from emulator import conference
from emulator.entities import Application, Call, CallStatus, Departure, Direction, Number, ParticipantStatus, Source
from emulator.errors import RestError
from emulator.people import Answer, Person
from emulator.switches import Order
from emulator.twiml import script
from emulator.world import World, mask

log = structlog.get_logger("emulator")
RING_TIMEOUT_SIP = 487  # Twilio cancels the leg it has let ring


# -- inbound ----------------------------------------------------------------------------------------------------------


def call_number(world: World, from_: str, number: Number, person: Person | None = None) -> Call:
    """Let somebody call a number: its voice URL, or that of the TwiML application it points to."""
    application = world.applications.get(number.voice_application_sid)
    call = _incoming(world, number.account_sid, from_, number.number, person)
    call.number_sid = number.sid
    call.progress = application.progress if application else number.progress
    if application:
        call.application_sid = application.sid
    _start(world, call, application.voice if application else number.voice)
    return call


def call_application(
    world: World,
    from_: str,
    application: Application,
    to: str = "",
    custom: dict[str, str] | None = None,
    person: Person | None = None,
) -> Call:
    """Let a browser (``client:…``) call a TwiML application with its custom parameters."""
    call = _incoming(world, application.account_sid, from_, to or (custom or {}).get("To", ""), person)
    call.application_sid = application.sid
    call.progress = application.progress
    call.custom = {name: value for name, value in (custom or {}).items() if name != "To"}
    _start(world, call, application.voice)
    return call


def _incoming(world: World, account_sid: str, from_: str, to: str, person: Person | None = None) -> Call:
    now = world.clock.now()
    call = Call(
        sid=world.sids.new("CA"),
        account_sid=account_sid,
        to=to,
        from_=from_,
        direction=Direction.INBOUND,
        created_at=now,
        updated_at=now,
        status=CallStatus.RINGING,
        person=person or world.people.calling(from_),
    )
    world.add_call(call)
    return call


def _start(world: World, call: Call, source: Source) -> None:
    log.info("emulator.call_placed", call_sid=call.sid, to=mask(call.to), direction=call.direction.value)
    world.tell("call.ringing", call, to=call.to, from_=call.from_)
    call.source = source
    call.script = world.spawn(script.run(world, call, source), f"call {call.sid}")


# -- outbound ---------------------------------------------------------------------------------------------------------


def dial(world: World, call: Call) -> None:
    """Put an outbound leg into the queue; calls per second are paced, not refused (twilio-facts.md 3.6)."""
    delay_s = _take_slot(world, call.account_sid)
    call.queue_time_ms = round(delay_s * 1000)
    call.person = world.people.dialled(call.to)
    world.add_call(call)
    log.info("emulator.call_placed", call_sid=call.sid, to=mask(call.to), direction=call.direction.value)
    world.tell("call.queued", call, to=call.to, from_=call.from_)
    call.script = world.spawn(_leg(world, call, delay_s), f"leg {call.sid}")
    if call.participant is not None:
        call.participant.gone.add_done_callback(lambda _: _give_up(world, call))


def _give_up(world: World, call: Call) -> None:
    """A leg whose conference has ended stops ringing; a joined one is hung up by its own script."""
    if call.live and call.answered_at is None:
        calls.cancel(world, call)


def _take_slot(world: World, account_sid: str) -> float:
    if world.calls_per_second <= 0:
        return 0.0
    now = world.clock.monotonic()
    slot = max(now, world.next_slot_at.get(account_sid, now))
    world.next_slot_at[account_sid] = slot + 1 / world.calls_per_second
    return slot - now


async def _leg(world: World, call: Call, delay_s: float) -> None:
    if delay_s:
        await world.clock.sleep(delay_s)
    if not await _ring(world, call):
        return
    if call.participant is not None:
        await _into_conference(world, call)
    elif call.source is not None:
        await _into_script(world, call, call.source)
    else:
        calls.answer(world, call)  # whoever had it dialled goes on with it


async def _ring(world: World, call: Call) -> bool:
    """Dial and ring; tell whether somebody picked up. A leg that fails ends here."""
    calls.progress(world, call, CallStatus.INITIATED)
    _show(call, ParticipantStatus.CONNECTING)
    if call.to.startswith("app:"):
        return await _ring_application(world, call)
    person = call.person
    if person.answer in {Answer.BUSY, Answer.FAILS}:
        await world.clock.sleep(person.answer_after_s)
        busy = person.answer is Answer.BUSY
        status, code = (CallStatus.BUSY, 486) if busy else (CallStatus.FAILED, 404)
        calls.finish(world, call, status, person.sip_code or code)
        return False
    calls.progress(world, call, CallStatus.RINGING)
    _show(call, ParticipantStatus.RINGING)
    if call.participant and call.participant.early_media and world.switches.u11_early_media_joins_early:
        conference.join(world, call.participant)
    limit_s = call.timeout_s + world.switches.ring_timeout_buffer_s
    patient = person.answer is Answer.ASKS or (person.answer is Answer.NO_ANSWER and person.ring_s is None)
    rings_s = limit_s if patient else min(person.acts_after_s, limit_s)
    if person.answer is Answer.ASKS:
        world.tell("asks", call, to=call.to)
    if await _picked_up(world, call, rings_s):
        return True
    if not patient and rings_s < limit_s:
        if person.machine or person.answer is Answer.ANSWERS:
            return True
        if person.answer is Answer.REJECTS:
            calls.finish(world, call, CallStatus.BUSY, person.sip_code or 603)
            return False
    calls.finish(world, call, CallStatus.NO_ANSWER, person.sip_code or RING_TIMEOUT_SIP)
    return False


async def _picked_up(world: World, call: Call, within_s: float) -> bool:
    """Wait for somebody to pick up by the control route; False after ``within_s``."""
    try:
        return await world.clock.within(call.pick_up.wait(), within_s)
    except TimeoutError:
        return False


def _show(call: Call, status: ParticipantStatus) -> None:
    if call.participant is not None:
        call.participant.status = status


async def _ring_application(world: World, call: Call) -> bool:
    """``To=app:AP…?k=v``: the application gets an incoming call of its own, and answers for the participant."""
    sid, _, query = call.to.removeprefix("app:").partition("?")
    application = world.applications[sid]
    calls.progress(world, call, CallStatus.RINGING)
    _show(call, ParticipantStatus.RINGING)
    custom = dict(parse_qsl(query, keep_blank_values=True))
    agent = _incoming(world, application.account_sid, call.from_, call.to)
    if world.switches.u5_app_call_sid_is_participants:
        world.calls.pop(agent.sid)
        agent.sid = call.sid
    agent.application_sid = application.sid
    agent.progress = application.progress
    agent.custom = custom
    agent.peer, call.peer = call, agent
    _start(world, agent, application.voice)
    if await _picked_up(world, call, call.timeout_s):
        return True
    calls.finish(world, call, CallStatus.NO_ANSWER, RING_TIMEOUT_SIP)
    return False


async def _into_conference(world: World, call: Call) -> None:
    """Answer and join, in either order (U9); then stay until taken out, and hang up."""
    participant = call.participant
    if participant is None:
        return
    order = world.switches.u9_join_before_answered
    join_first = order is Order.FIRST or (order is Order.RANDOM and world.sids.coin())
    if join_first:
        conference.join(world, participant)
    calls.answer(world, call)
    conference.join(world, participant)
    departure = await asyncio.shield(participant.gone)  # cancelling a script cancels what it awaits
    calls.finish(world, call, departure.call_status if departure.call_status.terminal else CallStatus.COMPLETED)


async def _into_script(world: World, call: Call, source: Source) -> None:
    calls.answer(world, call)
    if call.detection is not None and not call.detection.asynchronous:
        await calls.detect(world, call, call.detection)
    await script.run(world, call, source)


# -- changes from outside ---------------------------------------------------------------------------------------------


def redirect(world: World, call: Call, source: Source) -> None:
    """Let a live call go on with other TwiML; it leaves its conference for that.

    Raises:
        RestError: 400, 21220: the call is not in progress.

    """
    if call.status is not CallStatus.IN_PROGRESS:
        raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
    calls.stop_script(call)
    participant = call.participant
    before = call.source or Source()
    call.source = replace(
        source,
        fallback_url=source.fallback_url or before.fallback_url,
        fallback_method=source.fallback_method if source.fallback_url else before.fallback_method,
    )
    # The new script runs once this step is over, when the call has already left.
    call.script = world.spawn(script.run(world, call, call.source), f"call {call.sid}")
    if participant is not None:
        departure = Departure("participant_updated_via_api", CallStatus.IN_PROGRESS)
        conference.leave(world, participant, departure)
