"""One action from its turn to its end: deadline, place, intent, request, judgement, another try or a look.

It decides nothing about the call and writes no report; `worker.py` does the latter. The order is the guarantee: an
intent is durable before every request, and the deadline and the ownership are checked after that, right before it.
"""

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from actions.account import TwilioAccount
from actions.effect import Effect
from actions.gate import Gate
from actions.heard import Heard, RequestFailedError
from actions.outcome import (
    Done,
    Doubtful,
    Exists,
    Failed,
    NotStarted,
    Retry,
    Verdict,
    judge,
    verb_of,
)
from actions.pause import Pauses
from actions.reconcile import Found, Missing, Reconciler
from actions.transport import beginning_within
from actions.twilio import carry_out
from actions.verbs.end_conference import empty_conference
from actions.verbs.hang_up import hung_up
from schemas.actions import (
    CREATING,
    Action,
    CreateCall,
    CreateParticipant,
    CreateTask,
    EndConference,
    OnDoubt,
    RejoinRoom,
    StartRecording,
)
from schemas.records import ActionOutcome, Observation

_log = structlog.get_logger(__name__)

ONCE = (CreateParticipant, CreateCall, StartRecording, CreateTask, RejoinRoom)
"""What must not be repeated blindly."""

Intend = Callable[[int], Awaitable[None]]
"""Makes the intent of the given attempt durable; raises `AppendFailedError` when that is not certain."""


class Ending(msgspec.Struct, frozen=True):
    """How an action ended, as its report will say."""

    outcome: ActionOutcome
    attempts: int
    reason: str | None = None
    code: int | None = None
    status: int | None = None
    call_sid: str | None = None
    conference_sid: str | None = None
    recording_sid: str | None = None
    recording_status: str | None = None
    task_sid: str | None = None
    seen: Observation | None = None
    request_id: str | None = None


class Begun(msgspec.Struct, frozen=True):
    """What the ledger says of an action that was begun by somebody before us: how often, and when last (ms)."""

    attempt: int
    at_ms: int


class Performance:
    """The carrying out of one action. To be run once."""

    def __init__(
        self,
        action: Action,
        account: TwilioAccount,
        gate: Gate,
        pauses: Pauses,
        reconciler: Reconciler,
        intend: Intend,
    ) -> None:
        self._action = action
        self._verb = verb_of(action)
        self._account = account
        self._gate = gate
        self._pauses = pauses
        self._reconciler = reconciler
        self._intend = intend
        self._attempts = 0
        self._sent_at = 0
        self._doubts = 0
        self._effect: Effect | None = None
        self._may_have_happened = False

    async def run(self, begun: Begun | None) -> Ending:
        """Do it and say how it ended. Raises `GivenUpError` or `AppendFailedError`: then nothing may be said."""
        if begun is None:
            verdict = await self._try()
        else:
            self._attempts, self._sent_at, self._may_have_happened = begun.attempt, begun.at_ms, True
            verdict = self._interrupted()
        since_ms = None if begun is None else begun.at_ms
        while True:
            match verdict:
                case Ending():
                    return verdict
                case Retry():
                    verdict = await self._again(verdict)
                case Doubtful():
                    verdict = await self._reconcile(verdict, since_ms)
                    since_ms = None
                case Exists():
                    verdict = await self._adopt(verdict)
                case NotStarted():
                    verdict = await self._try(emptying=True)
                case Done() | Failed():
                    return self._ended(verdict)

    def broken(self) -> Ending:
        """How it ends when our own code has failed: refused if nothing can have happened, else unknown."""
        if self._attempts:
            return self._unknown("internal", None, None)
        return Ending(outcome=ActionOutcome.FAILED, attempts=0, reason="internal")

    def _interrupted(self) -> Verdict:
        """An intent without a result: a creation is in doubt, anything else may be said again in time."""
        if isinstance(self._action, ONCE):
            return Doubtful(reason="interrupted")
        return Retry(not_before_ms=self._pauses.now(), reason="interrupted", sent=True)

    async def _try(self, *, emptying: bool = False) -> Verdict | Ending:
        """One request, if it may begin before the deadline."""
        action, deadline = self._action, self._action.deadline
        if self._pauses.now() > deadline:
            return self._too_late("deadline")
        refused = await self._gate.enter(self._pauses, deadline, creating=isinstance(action, CREATING))
        if refused is not None:
            return self._too_late(refused)
        try:
            await self._intend(self._attempts + 1)
            self._pauses.require_open()
            if self._pauses.now() > deadline:
                return self._too_late("deadline")
            return await self._send(emptying=emptying)
        finally:
            self._gate.leave()

    async def _send(self, *, emptying: bool) -> Verdict:
        action = self._action
        self._attempts += 1
        self._sent_at = self._pauses.now()
        try:
            with beginning_within((action.deadline - self._sent_at) / 1000):
                if emptying and isinstance(action, EndConference):
                    self._effect = await empty_conference(self._account, action)
                else:
                    self._effect = await carry_out(self._account, action)
            heard: Heard = self._effect.answer
        except RequestFailedError as error:
            heard = error.heard
        now = self._pauses.now()
        self._gate.heard(heard, now)
        verdict = judge(self._verb, heard, attempt=self._attempts, now_ms=now, action_id=action.id)
        if emptying and isinstance(verdict, NotStarted):  # even its legs are refused: say so rather than go in circles
            return Failed(reason="wrong_state", status=verdict.status, code=verdict.code)
        self._may_have_happened |= isinstance(verdict, Retry) and verdict.sent
        if isinstance(verdict, Done) and self._effect is not None and now + self._effect.queued_ms > action.deadline:
            return await self._called_off(verdict, self._effect)
        return verdict

    async def _called_off(self, done: Done, effect: Effect) -> Verdict:
        """A call that Twilio would only begin after the deadline is taken out of its queue (reliability.md 3.1)."""
        if effect.call_sid is None or not effect.queued_ms:
            return done
        _log.warning("action.queued_too_long", action=self._action.id, queued_ms=effect.queued_ms)
        try:
            await hung_up(self._account, effect.call_sid)
        except RequestFailedError:
            return done  # it is in the queue, and the engine's own timers will end it
        return Failed(reason="capacity", status=done.status)

    async def _again(self, verdict: Retry) -> Verdict | Ending:
        if verdict.not_before_ms > self._action.deadline:
            return self._too_late(verdict.reason, verdict.status, verdict.code)
        await self._pauses.until(verdict.not_before_ms)
        return await self._try()

    async def _reconcile(self, verdict: Doubtful, since_ms: int | None) -> Verdict | Ending:
        """Look for what is in doubt; when nothing is found, `on_doubt` says what then."""
        action = self._action
        if not isinstance(action, ONCE):
            return self._too_late(verdict.reason, verdict.status, verdict.code)
        self._doubts += 1
        self._may_have_happened = True
        found = await self._reconciler.find(action, self._sent_at, since_ms)
        if isinstance(found, Found):
            return self._found(found)
        retries = isinstance(action, (StartRecording, CreateTask, RejoinRoom)) or action.on_doubt is OnDoubt.RETRY
        if retries and found is Missing.ABSENT and self._doubts == 1 and self._pauses.now() <= action.deadline:
            return await self._try()
        return self._unknown(verdict.reason, verdict.status, verdict.code)

    async def _adopt(self, verdict: Exists) -> Verdict | Ending:
        """The label is taken by an earlier attempt of ours: say whose call it is."""
        action = self._action
        if isinstance(action, (CreateParticipant, CreateCall)):
            found = await self._reconciler.adopt(action)
            if found is not None:
                return self._found(found)
        return Doubtful(reason="label_taken", status=verdict.status, code=verdict.code)

    def _found(self, found: Found) -> Ending:
        return Ending(
            outcome=ActionOutcome.DONE,
            attempts=max(1, self._attempts),
            reason="reconciled",
            call_sid=found.call_sid,
            conference_sid=found.conference_sid,
            recording_sid=found.recording_sid,
            recording_status=found.recording_status,
            task_sid=found.task_sid,
        )

    def _ended(self, verdict: Done | Failed) -> Ending:
        effect = self._effect if isinstance(verdict, Done) else None
        return Ending(
            outcome=ActionOutcome.DONE if isinstance(verdict, Done) else ActionOutcome.FAILED,
            attempts=max(1, self._attempts),
            reason=verdict.reason,
            code=verdict.code,
            status=verdict.status,
            call_sid=None if effect is None else effect.call_sid,
            conference_sid=None if effect is None else effect.conference_sid,
            recording_sid=None if effect is None else effect.recording_sid,
            recording_status=None if effect is None else effect.recording_status,
            task_sid=None if effect is None else effect.task_sid,
            seen=None if effect is None else effect.seen,
            request_id=None if effect is None else effect.answer.request_id,
        )

    def _too_late(self, reason: str, status: int | None = None, code: int | None = None) -> Ending:
        """The deadline came first: `expired` when nothing can have happened, else `unknown`."""
        if self._may_have_happened:
            return self._unknown(reason, status, code)
        return Ending(outcome=ActionOutcome.EXPIRED, attempts=self._attempts, reason=reason, status=status, code=code)

    def _unknown(self, reason: str, status: int | None, code: int | None) -> Ending:
        return Ending(
            outcome=ActionOutcome.UNKNOWN, attempts=max(1, self._attempts), reason=reason, status=status, code=code
        )
