"""A small language for tests of the core: place a call, let legs join, let time pass, see what is asked of Twilio.

`Story` feeds records to the real `Switchboard`; Twilio's part is told by the test, line by line. Nothing is faked but
the outside: SIDs are derived, time stands still until `after`.
"""

from typing import Any, Self, TypeVar

import msgspec

from engine.core.config import CoreConfig
from engine.core.effects import Effect, Emit, Ignore, Reply, RequestAction
from engine.core.step import Switchboard
from schemas.actions import CreateParticipant, LookUp, UpdateParticipant
from schemas.commands import type_of
from schemas.ids import report_record_id, room_of, timer_record_id
from schemas.policy import Policies, Policy
from schemas.records import ActionOutcome, ActionReport, Command, Inbox, Observation, TimerDue, Webhook
from schemas.results import Result
from schemas.state import Call, CallState, Leg, LegState
from schemas.webhooks import Source, read_form, record_id

A = TypeVar("A", bound=msgspec.Struct)
ACCOUNT = "AC" + "0" * 32
ROOM_SID = "CF" + "0" * 31 + "1"
CALLER, NUMBER, AGENT, OTHER = "+15550100001", "+15550199999", "client:anna", "client:bert"


def sid(number: int) -> str:
    """A CallSid."""
    return f"CA{number:032x}"


CALL_SID = sid(1)


class Story:
    """One call as it happens. Every method is something that happens, in order."""

    def __init__(self, policy: Policy | None = None, *, call_id: str = CALL_SID, queues: bool = False) -> None:
        self.config = CoreConfig(Policies(policy or Policy()), account_sid=ACCOUNT, number=NUMBER, queues=queues)
        self.board = Switchboard(self.config)
        self.call_id = call_id
        self.call: Call | None = None
        self.at = 1_000_000
        self.effects: list[Effect] = []
        self.latest: tuple[Effect, ...] = ()
        self.records: list[Inbox] = []
        self.room_sid, self.room_name = ROOM_SID, f"room-{call_id}"
        self._sequence = 0
        self._commands = 0
        self._sids = {"customer-1": CALL_SID}

    def give(self, record: Inbox) -> Self:
        """Apply a record."""
        self.records.append(record)
        step = self.board.step(self.call, record)
        self.call = step.call
        self.latest = step.effects
        self.effects.extend(step.effects)
        return self

    def webhook(
        self, source: Source, *, leg: str | None = None, answered: str | None = None, action: str | None = None,
        **form: str,
    ) -> Self:  # fmt: skip
        """A callback with Twilio's own field names; `answered` is the TwiML that it got, `action` stands in its URL."""
        params = msgspec.json.encode({"AccountSid": ACCOUNT, **form})
        id_ = record_id(source, read_form(source, params))
        return self.give(
            Webhook(id_, self.call_id, self.at, source, msgspec.Raw(params), leg, action, answered=answered)
        )

    def inbound(self, *, from_: str = CALLER, to: str = NUMBER, answered: str | None = None) -> Self:
        """A caller's number asks for TwiML."""
        form = {"CallSid": CALL_SID, "From": from_, "To": to, "CallStatus": "ringing", "Direction": "inbound"}
        return self.webhook(Source.VOICE, answered=answered, **form)

    def from_browser(self, *, agent: str = AGENT, to: str = CALLER) -> Self:
        """An agent's browser asks for TwiML."""
        self._sids = {"agent-1": CALL_SID}
        return self.webhook(
            Source.VOICE, CallSid=CALL_SID, From=agent, To=to, CallStatus="ringing", Direction="inbound"
        )

    def sid_of(self, leg: str) -> str:
        """The CallSid of a leg; made up at its first mention."""
        return self._sids.setdefault(leg, sid(len(self._sids) + 1))

    def conference(self, event: str, leg: str | None = None, **form: str) -> Self:
        """A conference event at the next SequenceNumber."""
        self._sequence += 1
        about = {"CallSid": self.sid_of(leg), "ParticipantLabel": leg} if leg else {}
        return self.webhook(
            Source.CONFERENCE, ConferenceSid=self.room_sid, FriendlyName=self.room_name,
            StatusCallbackEvent=event, SequenceNumber=str(self._sequence), **{**about, **form},
        )  # fmt: skip

    def in_room(self, number: int) -> Self:
        """What the conference says from now on is said by the `number`-th one of the call, from 1."""
        self.room_sid, self.room_name = f"CF{number:032x}", room_of(self.call_id, number)
        return self

    def joins(self, leg: str) -> Self:
        """The leg joins the room; with the second one the conference starts."""
        self.conference("participant-join", leg, **self._flags(leg))
        inside = [item for item in self.state.legs if item.state is LegState.JOINED]
        return self.conference("conference-start") if len(inside) == 2 and not self.state.room.started else self

    def leaves(self, leg: str, reason: str = "participant_hung_up", status: str = "completed") -> Self:
        """The leg leaves the room."""
        return self.conference("participant-leave", leg, ReasonParticipantLeft=reason, ParticipantCallStatus=status)

    def progress(self, leg: str, status: str) -> Self:
        """A call status callback of a leg."""
        return self.webhook(Source.STATUS, leg=leg, CallSid=self.sid_of(leg), CallStatus=status)

    def shows(self, leg: str, event: str, **flags: bool) -> Self:
        """Twilio shows a switch of a participant turned: `shows("customer-1", "hold", Hold=True)`.

        What was asked about its end-on-exit has been answered by then.
        """
        if "EndConferenceOnExit" in flags:
            self._answered(leg)
        turned = {name: str(value).lower() for name, value in flags.items()}
        return self.conference(f"participant-{event}", leg, **{**self._flags(leg), **turned})

    def _answered(self, leg: str) -> None:
        asked = [item.action for item in self.state.pending if isinstance(item.action, UpdateParticipant)]
        for action in asked:
            if action.leg == leg and action.end_on_exit is not None:
                report = report_record_id(action.id, ActionOutcome.DONE)
                self.give(
                    ActionReport(report, self.call_id, self.at, action.id, "update_participant", ActionOutcome.DONE,
                                 leg=leg)
                )  # fmt: skip

    def _flags(self, leg: str) -> dict[str, str]:
        seen = next((item.observed for item in self.state.legs if item.leg == leg), None)
        if seen is None:
            return {}
        shown = {"Hold": seen.hold, "Muted": seen.muted, "EndConferenceOnExit": seen.end_on_exit}
        return {name: str(value).lower() for name, value in shown.items()}

    def room_ends(self, reason: str = "last-participant-left", **form: str) -> Self:
        """The conference ends."""
        return self.conference("conference-end", ReasonConferenceEnded=reason, **form)

    def command(self, name: str, *, id_: str | None = None, deadline_s: int = 60, **data: Any) -> Self:
        """Another service commands; `from_` stands for `from`."""
        self._commands += 1
        id_ = id_ or f"command-{self._commands}"
        body = msgspec.Raw(msgspec.json.encode({key.rstrip("_"): value for key, value in data.items()}))
        return self.give(
            Command(
                f"test|{id_}", self.call_id, self.at, id_, "/test", type_of(name), body,
                self.at + deadline_s * 1000, name,
            )
        )  # fmt: skip

    def twilio_does(self, kind: type[A], **report: Any) -> Self:
        """The oldest pending action of a kind has been carried out; a creation answers with its SIDs."""
        return self.reports(kind, ActionOutcome.DONE, **report)

    def reports(self, kind: type[A], outcome: ActionOutcome, **report: Any) -> Self:
        """The oldest pending action of a kind has ended."""
        action = self.pending(kind)
        known: dict[str, Any] = {}
        if outcome is ActionOutcome.DONE and isinstance(action, CreateParticipant):
            known = {"call_sid": self.sid_of(action.leg or ""), "conference_sid": self.room_sid}
        return self.give(
            ActionReport(
                report_record_id(action.id, outcome.value), self.call_id, self.at, action.id,  # type: ignore[attr-defined]
                type(action).__name__, outcome, leg=action.leg, **{**known, **report},  # type: ignore[attr-defined]
            )
        )  # fmt: skip

    def looks(self, **seen: Any) -> Self:
        """The look at Twilio that was asked for shows this."""
        return self.reports(LookUp, ActionOutcome.DONE, seen=Observation(**seen))

    def after(self, seconds: float) -> Self:
        """Let time pass; the timers that fall due within it fire in order, each at its own time."""
        end = self.at + int(seconds * 1000)
        while self.call is not None and (due := min(self.call.timers.values(), default=end + 1)) <= end:
            name = next(name for name, at in self.call.timers.items() if at == due)
            self.at = max(self.at, due)
            self.give(TimerDue(timer_record_id(self.call_id, name, due), self.call_id, self.at, name, due))
        self.at = end
        return self

    @property
    def state(self) -> Call:
        """The call; there must be one."""
        assert self.call is not None, "there is no call"
        return self.call

    def now(self) -> CallState:
        """Where the call is now."""
        return self.state.state

    def leg(self, leg: str) -> Leg:
        """A leg of the call."""
        return next(item for item in self.state.legs if item.leg == leg)

    def pending(self, kind: type[A]) -> A:
        """The oldest pending action of a kind."""
        found = [item.action for item in self.state.pending if isinstance(item.action, kind)]
        assert found, f"no {kind.__name__} is pending: {[type(item.action).__name__ for item in self.state.pending]}"
        return found[0]

    def asked(self, kind: type[A] | None = None) -> list[Any]:
        """Every action asked for so far, of one kind or of all."""
        actions = [effect.action for effect in self.effects if isinstance(effect, RequestAction)]
        return [action for action in actions if kind is None or isinstance(action, kind)]

    def events(self) -> list[str]:
        """The names of the events told so far."""
        return [effect.name for effect in self.effects if isinstance(effect, Emit)]

    def results(self) -> list[Result]:
        """The results given so far."""
        return [effect.result for effect in self.effects if isinstance(effect, Reply)]

    def ignored(self) -> list[str]:
        """Why records were ignored so far."""
        return [effect.reason for effect in self.effects if isinstance(effect, Ignore)]

    def outcome(self) -> tuple[str, str | None]:
        """The outcome and reason of the latest result."""
        latest = self.results()[-1]
        return latest.outcome.value, latest.reason


def connected(policy: Policy | None = None, *, queues: bool = False) -> Story:
    """An inbound call: the customer is in the room with the agent Anna, everything confirmed."""
    story = Story(policy, queues=queues).inbound().joins("customer-1").command("call.connect", to=AGENT)
    story.twilio_does(CreateParticipant).progress("agent-1", "ringing").progress("agent-1", "in-progress")
    story.joins("agent-1")
    if story.leg("customer-1").desired.end_on_exit:
        story.shows("customer-1", "modify", EndConferenceOnExit=True)
    assert story.state.state is CallState.IN_CONFERENCE
    return story
