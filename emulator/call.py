"""What happens to one call: answered, machine detected, over. Sends its progress callbacks.

Placing and dialling is ``line.py``; the TwiML it runs is ``twiml/``; its place in a conference is ``conference.py``.
"""

import asyncio

import structlog

from emulator import conference, payloads, recording
from emulator.entities import Call, CallStatus, Departure, Direction, MachineDetection, ParticipantStatus
from emulator.errors import Alert
from emulator.switches import Counting
from emulator.world import World, mask

log = structlog.get_logger("emulator")
EVENTS = {
    CallStatus.INITIATED: ("initiated", 0),
    CallStatus.RINGING: ("ringing", 1),
    CallStatus.IN_PROGRESS: ("answered", 2),
}
CANCELLED_SIP = 487
DECLINED_SIP = 603
ADD_FAILED = "participant_add_failed"


def progress(world: World, call: Call, status: CallStatus) -> None:
    """Enter a status and tell the subscriber (section 2.3). Inbound calls tell their end only."""
    call.status = status
    call.updated_at = world.clock.now()
    event, rank = EVENTS.get(status, ("completed", 3))
    world.tell(f"call.{status.value}", call, to=call.to, from_=call.from_)
    if call.direction is Direction.INBOUND and not status.terminal:
        return
    wanted = call.progress.wants(event)
    sequence = rank if world.switches.u12_skipped_states_count and call.direction is not Direction.INBOUND else None
    if wanted or world.switches.call_counting is Counting.ALL:
        sequence = call.sequence if sequence is None else sequence
        call.sequence += 1
    if wanted and sequence is not None:
        fields = payloads.progress_fields(call, status, sequence, call.updated_at)
        if status.terminal and call.record is not None:
            fields.update(_recorded(world, call))
        target = call.progress
        world.callbacks.send("call", call.sid, target.url, target.method, fields, call.account_sid, event)


def _recorded(world: World, call: Call) -> dict[str, str]:
    """Return what the end of a call with ``Record=true`` tells of its recording; nothing if it was never answered."""
    taken = [item for item in recording.of(world, call.sid) if item.wish is call.record]
    return payloads.recorded_fields(taken[0], recording.media_url(world, taken[0])) if taken else {}


def answer(world: World, call: Call) -> None:
    """Pick up. Does nothing to a call that is already answered or over."""
    if call.status is CallStatus.IN_PROGRESS or call.status.terminal:
        return
    call.answered_at = world.clock.now()
    call.sip_code = 200
    if call.participant is not None and not call.participant.joined:
        call.participant.status = ParticipantStatus.CONNECTING
    progress(world, call, CallStatus.IN_PROGRESS)
    if call.peer is not None:
        call.peer.pick_up.set()
    if call.time_limit_s is not None:
        call.timers.append(world.clock.call_later(call.time_limit_s, lambda: hang_up(world, call)))
    fault = world.faults.for_leg(call.sid, call.from_, call.to)
    if fault is not None:
        call.timers.append(world.clock.call_later(fault.delay_s, lambda: hang_up(world, call)))
    if call.direction is not Direction.INBOUND:
        _after_answer(world, call)
    if call.record is not None:
        recording.start(world, call.record, call=call)


def _after_answer(world: World, call: Call) -> None:
    if call.send_digits:
        world.tell("hears", call, what=f"tones: {call.send_digits}", because="sendDigits")
    if call.detection is not None and call.detection.asynchronous:
        world.start(_detect_and_tell(world, call, call.detection), "machine-detection")


async def detect(world: World, call: Call, detection: MachineDetection) -> None:
    """Listen for a machine and set the call's verdict; takes ``detect_s``, or until the beep if that is waited for.

    What takes longer than the request allows is ``unknown``.
    """
    person = call.person
    whole = detection.mode == "DetectMessageEnd"
    takes_s = max(person.detect_s, person.beeps_after_s) if whole and person.machine else person.detect_s
    listens_s = min(takes_s, detection.timeout_s)
    await world.clock.sleep(listens_s)
    verdict = ("machine_end_beep" if whole else "machine_start") if person.machine else "human"
    call.answered_by = "unknown" if listens_s < takes_s else person.answered_by or verdict
    call.detected_after_ms = round(listens_s * 1000)
    world.tell("call.detected", call, answered_by=call.answered_by)


async def _detect_and_tell(world: World, call: Call, detection: MachineDetection) -> None:
    await detect(world, call, detection)
    if call.live:
        tell_verdict(world, call)


def tell_verdict(world: World, call: Call) -> None:
    """Send the AMD callback (section 2.8)."""
    detection = call.detection
    if detection is None or not detection.asynchronous:
        return
    if not detection.url:
        world.alert(Alert.AMD_WITHOUT_CALLBACK, "machine detection without a callback URL", call.sid)
        return
    fields = payloads.detection_fields(call)
    world.callbacks.send("amd", call.sid, detection.url, detection.method, fields, call.account_sid)


def hang_up(world: World, call: Call) -> None:
    """Let the call's own party hang up.

    Completed when it was answered. Else a caller has given up (no-answer), or a dialled party has declined (busy).
    """
    if call.status is CallStatus.IN_PROGRESS:
        finish(world, call, CallStatus.COMPLETED)
    elif call.direction is Direction.INBOUND:
        finish(world, call, CallStatus.NO_ANSWER, CANCELLED_SIP)
    else:
        finish(world, call, CallStatus.BUSY, DECLINED_SIP)


def cancel(world: World, call: Call, reason: str = "participant_hung_up") -> None:
    """End a call from Twilio's side: completed when it was answered, else canceled."""
    if call.status is CallStatus.IN_PROGRESS:
        finish(world, call, CallStatus.COMPLETED, None, reason)
    else:
        finish(world, call, CallStatus.CANCELED, CANCELLED_SIP, reason)


def finish(
    world: World, call: Call, status: CallStatus, sip_code: int | None = None, reason: str = "participant_hung_up"
) -> None:
    """End a call in this status: out of its conference, script stopped, recordings closed, told, peer ended.

    ``reason`` is the ReasonParticipantLeft of a leg that is in a conference.
    """
    if not call.live:
        return
    call.ended_at = world.clock.now()
    if sip_code is not None:
        call.sip_code = sip_code
    for timer in call.timers:
        timer.cancel()
    stop_script(call)
    call.status = status
    _leave_conference(world, call, status, reason)
    _give_up_detection(world, call)
    recording.close(world, call.sid)
    progress(world, call, status)
    call.over.set()
    world.retire_call(call)
    log.info(
        "emulator.call_ended",
        call_sid=call.sid,
        status=status.value,
        direction=call.direction.value,
        to=mask(call.to),
        duration_s=payloads.talk_seconds(call),
    )
    if call.peer is not None and call.peer.live:
        _end_peer(world, call.peer, status)


def _end_peer(world: World, peer: Call, status: CallStatus) -> None:
    """End the other half of an ``app:`` participant; one that was never answered ends as its application's call did."""
    answered = peer.status is CallStatus.IN_PROGRESS
    if answered or peer.direction is Direction.INBOUND or status not in {CallStatus.BUSY, CallStatus.FAILED}:
        cancel(world, peer)
    else:
        finish(world, peer, status, DECLINED_SIP)


def _leave_conference(world: World, call: Call, status: CallStatus, reason: str) -> None:
    participant = call.participant
    if participant is not None and not participant.gone.done():
        why = reason if participant.joined else ADD_FAILED
        conference.leave(world, participant, Departure(why, status))


def _give_up_detection(world: World, call: Call) -> None:
    pending = call.detection is not None and call.answered_by is None and call.answered_at is not None
    if pending and world.switches.u25_amd_unknown_at_hangup:
        call.answered_by = "unknown"
        tell_verdict(world, call)


def stop_script(call: Call) -> None:
    """Stop what the call runs, unless it is that script that asks."""
    script = call.script
    if script is not None and script is not asyncio.current_task():
        script.cancel()
