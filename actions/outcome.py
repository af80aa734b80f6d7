"""What was heard of a request, judged: carried out, to be tried again, refused, or in doubt. Pure.

The rule behind the table (reliability.md 3.3): a creation is repeated only when it is proven not to have happened; what
sets a value may be repeated until its deadline. Sources: twilio-facts.md 3.7, reliability.md 3.3.
"""

from enum import StrEnum
from hashlib import blake2b

import msgspec

from actions import codes
from actions.heard import TOO_LATE, Answer, Heard, Silence
from schemas.actions import Action, action_type

_BACK_OFF_MS = 250.0
_BACK_OFF_MAX_MS = 8000.0
_JITTER_STEPS = 1 << 16
_PATIENCE_MS = 60_000.0


class Verb(StrEnum):
    """The kinds of actions, by the words that messages use."""

    CREATE_PARTICIPANT = "create_participant"
    CREATE_CALL = "create_call"
    UPDATE_PARTICIPANT = "update_participant"
    REMOVE_PARTICIPANT = "remove_participant"
    END_CONFERENCE = "end_conference"
    HANG_UP = "hang_up"
    REDIRECT_CALL = "redirect_call"
    REJOIN_ROOM = "rejoin_room"
    START_RECORDING = "start_recording"
    UPDATE_RECORDING = "update_recording"
    ANNOUNCE_ALL = "announce_all"
    CREATE_TASK = "create_task"
    UPDATE_TASK = "update_task"
    ANNOTATE_TASK = "annotate_task"
    UPDATE_RESERVATION = "update_reservation"
    LOOK_UP = "look_up"


CREATING = frozenset({Verb.CREATE_PARTICIPANT, Verb.CREATE_CALL})
ONCE = CREATING | {Verb.START_RECORDING, Verb.CREATE_TASK, Verb.REJOIN_ROOM}
"""What must not be repeated blindly: every time makes one more, or takes out who has just come in."""

_READING = frozenset({Verb.LOOK_UP, Verb.ANNOTATE_TASK})
"""What begins with reading: an answer that says nothing usable is a failure."""

ENDING = frozenset({Verb.REMOVE_PARTICIPANT, Verb.END_CONFERENCE, Verb.HANG_UP, Verb.REDIRECT_CALL, Verb.UPDATE_TASK})
"""What is wanted in the end is that somebody is gone: one who has gone before is no failure."""


class Done(msgspec.Struct, frozen=True):
    """It is as wanted. `reason` is `already_gone` when it was so before."""

    status: int | None = None
    code: int | None = None
    reason: str | None = None


class Retry(msgspec.Struct, frozen=True):
    """Try again at `not_before_ms` (ms since the epoch) if the deadline allows. `sent`: it may have happened."""

    not_before_ms: int
    reason: str
    sent: bool = False
    status: int | None = None
    code: int | None = None


class Failed(msgspec.Struct, frozen=True):
    """Refused for good: it has not happened and will not."""

    reason: str
    status: int | None = None
    code: int | None = None


class Doubtful(msgspec.Struct, frozen=True):
    """What makes something new, and may have done so. Never to be repeated before a look at Twilio."""

    reason: str
    status: int | None = None
    code: int | None = None


class Exists(msgspec.Struct, frozen=True):
    """The label is already in the room: adopt whoever holds it."""

    status: int
    code: int | None = None


class NotStarted(msgspec.Struct, frozen=True):
    """A conference that cannot be ended because it has not begun: hang up its legs (twilio-facts.md 3.4)."""

    status: int
    code: int | None = None


Verdict = Done | Retry | Failed | Doubtful | Exists | NotStarted


def verb_of(action: Action) -> Verb:
    """The verb of an action."""
    return Verb(action_type(action))


def judge(verb: Verb, heard: Heard, *, attempt: int, now_ms: int, action_id: str) -> Verdict:
    """What `heard` means for the `attempt`-th try (from 1) of an action."""
    if isinstance(heard, Silence):
        return _of_silence(verb, heard, not_before(action_id, attempt, now_ms))
    if heard.status == codes.LIMITED or heard.code == codes.TOO_MANY_REQUESTS:
        again = not_before(action_id, attempt, now_ms, heard.retry_after_s)
        return Retry(not_before_ms=again, reason="rate_limited", status=heard.status, code=heard.code)
    if heard.status >= codes.SERVER_ERROR:
        again = not_before(action_id, attempt, now_ms, heard.retry_after_s)
        return _in_doubt(verb, "twilio_unavailable", again, heard)
    if 200 <= heard.status < 300:  # noqa: PLR2004 - the class of successes
        return _of_success(verb, heard)
    return _of_refusal(verb, heard, not_before(action_id, attempt, now_ms))


def not_before(action_id: str, attempt: int, now_ms: int, retry_after_s: float | None = None) -> int:
    """When to try again, ms: what Twilio asked for, else 0.25 s x 2^n, at most 8 s, of which up to a half is jitter.

    The jitter is derived from the action, not drawn: the same action waits the same on every machine and in every test.
    """
    if retry_after_s is not None:
        return now_ms + int(min(retry_after_s * 1000, _PATIENCE_MS))
    back_off = min(_BACK_OFF_MS * 2 ** min(attempt - 1, 10), _BACK_OFF_MAX_MS)
    drawn = int.from_bytes(blake2b(f"{action_id}.{attempt}".encode(), digest_size=2).digest(), "big") / _JITTER_STEPS
    return now_ms + int(back_off * (1 - drawn / 2))


def _of_silence(verb: Verb, silence: Silence, again_ms: int) -> Verdict:
    if silence.written:
        return _in_doubt(verb, silence.cause, again_ms, None)
    return Retry(not_before_ms=again_ms, reason=TOO_LATE if silence.cause == TOO_LATE else "unreachable")


def _in_doubt(verb: Verb, reason: str, again_ms: int, answer: Answer | None) -> Verdict:
    status, code = (None, None) if answer is None else (answer.status, answer.code)
    if verb in ONCE:
        return Doubtful(reason=reason, status=status, code=code)
    return Retry(not_before_ms=again_ms, reason=reason, sent=verb is not Verb.LOOK_UP, status=status, code=code)


def _of_success(verb: Verb, answer: Answer) -> Verdict:
    if answer.readable or verb not in ONCE | _READING:
        return Done(status=answer.status)
    if verb in _READING:
        return Failed(reason="unreadable", status=answer.status)
    return Doubtful(reason="unreadable", status=answer.status)  # created, and we do not know its SID


def _of_refusal(verb: Verb, answer: Answer, again_ms: int) -> Verdict:
    status, code = answer.status, answer.code
    if verb in CREATING and code in codes.LABEL_TAKEN:
        return Exists(status=status, code=code)
    if verb in ENDING and (code in codes.GONE or status == codes.NOT_FOUND):
        return Done(status=status, code=code, reason="already_gone")
    if verb is Verb.END_CONFERENCE and status == 400:  # noqa: PLR2004 - whatever the code: it has not begun
        return NotStarted(status=status, code=code)
    if code in codes.BUSY_RESOURCE or status in {409, 412} or code == codes.UNEXPECTED_STATUS:
        return Retry(not_before_ms=again_ms, reason="conflict", status=status, code=code)
    return Failed(reason=codes.reason_of(status, code), status=status, code=code)
