"""What the engine is fed: the records of whole calls, as Twilio, an agent's desk and our own workers would send them.

A caller waits, an agent is connected, the customer is held and taken back, both hang up. Every webhook carries the
fields that Twilio sends, every action is reported as done. Made once with the real core, so that the reports name the
actions that it asked for; `live` leaves the call in the middle, both talking.
"""

import itertools
from collections.abc import Iterator, Sequence

import msgspec

from engine.core.config import CoreConfig
from engine.core.effects import Ignore, RequestAction
from engine.core.step import Switchboard
from schemas.actions import Action, CreateParticipant, action_type
from schemas.codec import encode
from schemas.commands import type_of
from schemas.ids import report_record_id, room_of
from schemas.intake import command_record_id
from schemas.records import ActionOutcome, ActionReport, Command, Inbox, Webhook
from schemas.state import Call
from schemas.webhooks import Source, read_form, record_id

ACCOUNT = "AC" + "0" * 31 + "1"
NUMBER = "+15550100000"
CONFIG = CoreConfig(account_sid=ACCOUNT, number=NUMBER)
_BEGIN_MS = 1_800_000_000_000

_PLACE = {
    "CallerCity": "SAN RAFAEL", "CallerState": "CA", "CallerZip": "94903", "CallerCountry": "US",
    "CalledCity": "OAKLAND", "CalledState": "CA", "CalledZip": "94612", "CalledCountry": "US",
    "FromCity": "SAN RAFAEL", "FromState": "CA", "FromZip": "94903", "FromCountry": "US",
    "ToCity": "OAKLAND", "ToState": "CA", "ToZip": "94612", "ToCountry": "US", "ApiVersion": "2010-04-01",
}  # fmt: skip


class _Story:
    def __init__(self, number: int) -> None:
        self.call_id = f"CA{number:032x}"
        self.agent_sid = f"CA{number:031x}a"
        self.conference = f"CF{number:032x}"
        self.records: list[Inbox] = []
        self.ignored: list[str] = []
        self._board = Switchboard(CONFIG)
        self._call: Call | None = None
        self._at = _BEGIN_MS + number * 7
        self._sequence = itertools.count(1)
        self._spoken = itertools.count()
        self._commands = itertools.count(1)

    def webhook(self, source: Source, leg: str | None = None, **fields: str) -> None:
        params = encode({"AccountSid": ACCOUNT, **fields})
        id_ = record_id(source, read_form(source, params))
        self._give(Webhook(id_, self.call_id, self._at, source, msgspec.Raw(params), leg))

    def voice(self) -> None:
        self.webhook(
            Source.VOICE, CallSid=self.call_id, CallStatus="ringing", Direction="inbound", From="+15550101234",
            To=NUMBER, Caller="+15550101234", Called=NUMBER, StirVerstat="TN-Validation-Passed-A", **_PLACE,
        )  # fmt: skip

    def status(self, call_sid: str, status: str, leg: str | None = None) -> None:
        self.webhook(
            Source.STATUS, leg, CallSid=call_sid, CallStatus=status, Direction="outbound-api", From=NUMBER,
            To="client:anna", Caller=NUMBER, Called="client:anna", SequenceNumber=str(next(self._spoken)),
            Timestamp="Wed, 02 Sep 2026 10:11:12 +0000", CallbackSource="call-progress-events", **_PLACE,
        )  # fmt: skip

    def conference_event(self, name: str, call_sid: str = "", leg: str | None = None, **fields: str) -> None:
        who = {"CallSid": call_sid, "ParticipantLabel": leg or ""} if call_sid else {}
        flags = {"Muted": "false", "Hold": "false", "Coaching": "false", "EndConferenceOnExit": "false"} if who else {}
        common = {
            "ConferenceSid": self.conference, "FriendlyName": room_of(self.call_id), "StatusCallbackEvent": name,
            "SequenceNumber": str(next(self._sequence)), "Timestamp": "Wed, 02 Sep 2026 10:11:12 +0000",
        }  # fmt: skip
        self.webhook(Source.CONFERENCE, leg, **{**common, **who, **flags, "StartConferenceOnEnter": "true", **fields})

    def command(self, name: str, **data: object) -> None:
        command_id = f"{self.call_id}-{next(self._commands)}"
        self._give(
            Command(
                id=command_record_id("/desk", command_id),
                call_id=self.call_id,
                at=self._at,
                command_id=command_id,
                command_source="/desk",
                command_type=type_of(name),
                data=msgspec.Raw(encode(data)),
                deadline=self._at + 60_000,
                name=name,
            )
        )

    def _give(self, record: Inbox) -> None:
        self.records.append(record)
        self._at += 400
        step = self._board.step(self._call, record)
        self._call = step.call
        self.ignored += [effect.reason for effect in step.effects if isinstance(effect, Ignore)]
        for effect in step.effects:
            if isinstance(effect, RequestAction):
                self._report(effect.action)

    def _report(self, action: Action) -> None:
        dialled = isinstance(action, CreateParticipant)
        self._give(
            ActionReport(
                report_record_id(action.id, "done"),
                self.call_id,
                self._at,
                action.id,
                action_type(action),
                ActionOutcome.DONE,
                action.leg,
                status=201 if dialled else 200,
                call_sid=self.agent_sid if dialled else None,
                conference_sid=self.conference,
            )
        )


def _talking(story: _Story) -> None:
    story.voice()
    story.conference_event("participant-join", story.call_id, "customer-1")
    story.command("call.connect", to="client:anna")
    for status in ("initiated", "ringing", "in-progress"):
        story.status(story.agent_sid, status, "agent-1")
    story.conference_event("participant-join", story.agent_sid, "agent-1")
    story.conference_event("conference-start")


def _hold_and_hang_up(story: _Story) -> None:
    story.command("call.hold")
    story.conference_event("participant-hold", story.call_id, "customer-1", Hold="true")
    story.command("call.resume")
    story.conference_event("participant-unhold", story.call_id, "customer-1")
    story.conference_event("participant-leave", story.call_id, "customer-1", ReasonParticipantLeft="hung_up")
    story.status(story.call_id, "completed", "customer-1")
    story.conference_event("participant-leave", story.agent_sid, "agent-1", ReasonParticipantLeft="hung_up")
    story.status(story.agent_sid, "completed", "agent-1")
    story.conference_event("conference-end", ReasonConferenceEnded="last-participant-left")


def records_of_call(number: int, *, live: bool = False) -> Sequence[Inbox]:
    """The inbox records of call `number`, from its first webhook to the end, or until both talk."""
    story = _Story(number)
    _talking(story)
    if not live:
        _hold_and_hang_up(story)
    return story.records


def ignored_in_call(number: int) -> Sequence[str]:
    """Why the core ignored what it ignored in such a call: for the check that the workload is what it says."""
    story = _Story(number)
    _talking(story)
    _hold_and_hang_up(story)
    return story.ignored


def interleaved(calls: int, at_once: int, *, live: bool = False) -> Iterator[Inbox]:
    """The records of `calls` calls, `at_once` of them going on at a time, one record of each in turn."""
    numbers = iter(range(1, calls + 1))
    going = [iter(records_of_call(n, live=live)) for n in itertools.islice(numbers, at_once)]
    while going:
        following: list[Iterator[Inbox]] = []
        for call in going:
            record = next(call, None)
            if record is not None:
                yield record
                following.append(call)
            elif (number := next(numbers, None)) is not None:
                following.append(iter(records_of_call(number, live=live)))
        going = following
