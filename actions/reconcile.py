"""Looking for what was made and not confirmed.

A leg: by its label in the room, then in the list of calls. A recording: in the list of its call's recordings.
A leg that is to come back: among the participants of its room.

Never repeats anything. What nothing is found of is the business of the action's `on_doubt` (`perform.py`); the proof by
webhook reaches the engine by its own way (reliability.md 3.3).
"""

from collections.abc import Container, Iterable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
import structlog
from twilio.rest.api.v2010.account.call import CallInstance

from actions.account import TwilioAccount
from actions.config import ReconcilePolicy
from actions.heard import RequestFailedError
from actions.pause import Pauses
from actions.transport import asked
from actions.verbs.look_up import conference_of, is_missing
from actions.verbs.recordings import ACTIVE
from actions.verbs.rejoin_room import has_rejoined
from actions.verbs.tasks import task_of
from cordboard.metrics import ACTIONS_RECONCILED
from schemas.actions import CreateCall, CreateParticipant, CreateTask, RejoinRoom, StartRecording

_log = structlog.get_logger(__name__)

_CLOCK_SKEW_MS = 2000
_MAX_CALLS = 50
_LOOKS_IN_A_LIST = 2
_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})


class Found(msgspec.Struct, frozen=True):
    """It happened, and this is what was made."""

    call_sid: str | None = None
    conference_sid: str | None = None
    recording_sid: str | None = None
    recording_status: str | None = None
    task_sid: str | None = None


Sought = CreateParticipant | CreateCall | StartRecording | CreateTask | RejoinRoom


class Missing(StrEnum):
    """Nothing was found: `absent` as far as Twilio shows, or `unseen` because Twilio could not be asked."""

    ABSENT = "absent"
    UNSEEN = "unseen"


class Reconciler:
    """Looks on one account. `claimed`: CallSids that are known to belong to other actions."""

    def __init__(
        self, account: TwilioAccount, policy: ReconcilePolicy, pauses: Pauses, claimed: Container[str]
    ) -> None:
        self._account = account
        self._policy = policy
        self._pauses = pauses
        self._claimed = claimed

    async def find(self, action: Sought, begun_ms: int, since_ms: int | None = None) -> Found | Missing:
        """Look for what was begun at `begun_ms`, at the policy's times after `since_ms` (now). Raises `GivenUpError`.

        Looks that a stopped process has missed become one, at once.
        """
        result: Found | Missing = Missing.UNSEEN
        looks = self._looks(self._pauses.now(), since_ms)
        if isinstance(action, (StartRecording, CreateTask, RejoinRoom)):  # a list that is the whole truth
            looks = looks[:_LOOKS_IN_A_LIST]
        for number, at_ms in enumerate(looks, 1):
            await self._pauses.until(at_ms)
            look = await self._look(action, begun_ms, thorough=number >= len(looks) - 1)
            if isinstance(look, Found):
                result = look
                break
            if look is Missing.ABSENT:
                result = look
        found = "found" if isinstance(result, Found) else result.value
        ACTIONS_RECONCILED.labels(found).inc()
        _log.info("action.reconciled", call_id=action.call_id, action=action.id, found=found)
        return result

    def _looks(self, now_ms: int, since_ms: int | None) -> list[float]:
        start_ms = now_ms if since_ms is None else since_ms
        planned = [start_ms + after_s * 1000 for after_s in self._policy.looks_s]
        missed = [float(now_ms)] if any(at_ms < now_ms for at_ms in planned) else []
        return missed + [at_ms for at_ms in planned if at_ms >= now_ms]

    async def adopt(self, action: CreateParticipant | CreateCall) -> Found | None:
        """Whoever holds the label now, without waiting. None for nobody, or when Twilio could not be asked."""
        look = await self._look(action, action.at, thorough=False)
        return look if isinstance(look, Found) else None

    async def _look(self, action: Sought, begun_ms: int, *, thorough: bool) -> Found | Missing:
        try:
            if isinstance(action, StartRecording):
                return await self._recording_of(action, begun_ms) or Missing.ABSENT
            if isinstance(action, CreateTask):
                return await self._task_of(action) or Missing.ABSENT
            if isinstance(action, RejoinRoom):
                back = await has_rejoined(self._account, action)
                return Found(call_sid=action.call_sid) if back else Missing.ABSENT
            by_label = await self._by_label(action)
            if by_label is not None:
                return by_label
            listed = await self._by_call(action, begun_ms) if thorough else None
        except RequestFailedError as error:
            _log.warning("action.look_failed", call_id=action.call_id, action=action.id, heard=str(error.heard))
            return Missing.UNSEEN
        return listed or Missing.ABSENT

    async def _recording_of(self, action: StartRecording, begun_ms: int) -> Found | None:
        query = self._account.client.calls(action.call_sid).recordings.list_async(limit=_MAX_CALLS)
        recordings, _ = await asked("recordings.list", query)
        for recording in recordings:
            began = _milliseconds(recording.start_time or recording.date_created)
            if recording.sid and str(recording.status) in ACTIVE and _is_recent(began, begun_ms):
                return Found(action.call_sid, None, recording.sid, str(recording.status))
        return None

    async def _task_of(self, action: CreateTask) -> Found | None:
        """Our own id is among the attributes: whoever carries it is ours."""
        task_sid = await task_of(self._account, action)
        return Found(task_sid=task_sid) if task_sid is not None else None

    async def _by_label(self, action: CreateParticipant | CreateCall) -> Found | None:
        if isinstance(action, CreateCall) or action.leg is None:  # a call has its label only once it is in the room
            return None
        room = await conference_of(self._account, action.room, action.conference_sid)
        if room is None or room.sid is None:
            return None
        held = self._account.client.conferences(room.sid).participants(action.leg)
        try:
            participant, _ = await asked("participants.fetch", held.fetch_async())
        except RequestFailedError as error:
            if is_missing(error):
                return None
            raise
        return Found(call_sid=participant.call_sid, conference_sid=room.sid) if participant.call_sid else None

    async def _by_call(self, action: CreateParticipant | CreateCall, begun_ms: int) -> Found | None:
        """The one call to that address since then which is nobody else's; two or more prove nothing.

        A participant that lives would be in the room, so only a call that is over can be a participant's.
        """
        sender = self._account.caller_id(action.from_, action.to) or ""
        query = self._account.client.calls.list_async(to=action.to, from_=sender, limit=_MAX_CALLS)
        calls, _ = await asked("calls.list", query)
        ours = list(self._candidates(calls, begun_ms, over=isinstance(action, CreateParticipant)))
        return Found(call_sid=ours[0]) if len(ours) == 1 else None

    def _candidates(self, calls: Iterable[CallInstance], begun_ms: int, *, over: bool) -> Iterable[str]:
        for call in calls:
            sid, began = call.sid, _milliseconds(call.date_created or call.start_time)
            recent = _is_recent(began, begun_ms)
            fits = str(call.status) in _OVER or not over
            if sid and recent and fits and call.direction != "inbound" and sid not in self._claimed:
                yield sid


def _is_recent(began_ms: int | None, begun_ms: int) -> bool:
    """Twilio gives whole seconds, by its own clock; what has no time yet has only just been made."""
    return began_ms is None or began_ms >= begun_ms - _CLOCK_SKEW_MS


def _milliseconds(moment: datetime | None) -> int | None:
    """The library gives times of the 2010 API in UTC."""
    return None if moment is None else int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
