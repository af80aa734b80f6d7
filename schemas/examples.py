"""One example of every command, of the results and of the main events: shown in the reference and in AsyncAPI.

They are made by the structs that the services themselves use, so an example cannot say what we would not.
"""

from typing import NamedTuple

import msgspec
from msgspec import UNSET

from schemas import codec, commands, events
from schemas.cloudevents import SPEC_VERSION, CloudEvent
from schemas.commands import CommandData, Disposition, Release, SupervisionMode, TransferMode
from schemas.events import EventData
from schemas.ids import action_id, event_id, report_record_id, result_id, timer_record_id
from schemas.intake import command_record_id
from schemas.prompts import Prompt
from schemas.results import Outcome, Result
from schemas.times import parse_rfc3339

CALL = "CA0123456789abcdef0123456789abcdef"
SOURCE = "/crm/desk-7"
AT_MS = parse_rfc3339("2026-11-21T10:00:00Z")
_AGENT = "client:maria"
_OTHER_AGENT = "client:tom"
_TRANSFER = "transfer-1"

COMMAND_DATA: dict[str, CommandData] = {
    "call.dial": commands.Dial(
        agent=_AGENT, to="phone:+15550100002", from_="phone:+15550100001", context={"ticket": "4711"}
    ),
    "call.connect": commands.Connect(to=_AGENT, ring_timeout_s=25, whisper=Prompt(say="A caller about an invoice.")),
    "call.hold": commands.Hold(audio="https://media.example.com/hold.mp3"),
    "call.resume": commands.Resume(leg="customer-1"),
    "call.mute": commands.Mute(leg="agent-1"),
    "call.unmute": commands.Unmute(leg="agent-1"),
    "call.transfer": commands.Transfer(
        mode=TransferMode.WARM,
        targets=[_OTHER_AGENT, "phone:+15550100003"],
        initiator="agent-1",
        ring_timeout_s=20,
        release=Release.ON_ANSWER,
        on_failure=commands.OnFailure(busy=Disposition.RETURN, default=Disposition.RECALL),
        context={"reason": "second level"},
    ),
    "transfer.complete": commands.SteerTransfer(transfer=_TRANSFER),
    "transfer.cancel": commands.SteerTransfer(),
    "transfer.swap": commands.SteerTransfer(),
    "transfer.merge": commands.SteerTransfer(),
    "call.supervise": commands.Supervise(mode=SupervisionMode.COACH, supervisor="client:lead", coach="agent-1"),
    "supervision.switch": commands.SwitchSupervision(supervisor="supervisor-1", mode=SupervisionMode.BARGE),
    "supervision.leave": commands.SteerSupervision(supervisor="supervisor-1"),
    "supervision.takeover": commands.SteerSupervision(supervisor="supervisor-1"),
    "call.add": commands.Add(to="phone:+15550100004", role=commands.AddedRole.THIRD),
    "call.remove": commands.Remove(leg="third-1"),
    "call.announce": commands.Announce(leg="customer", say="This call is recorded."),
    "recording.start": commands.StartRecording(max_pause_s=120),
    "recording.pause": commands.PauseRecording(max_pause_s=60),
    "recording.resume": commands.SteerRecording(),
    "recording.stop": commands.SteerRecording(),
    "call.end": commands.End(reason="resolved"),
}

_DEADLINES = {"call.hold": "2026-11-21T10:00:30Z"}


class ResultExample(NamedTuple):
    """A result, with what it stands for."""

    title: str
    command: str
    outcome: Outcome
    reason: str | None = None
    state: str | None = "in_conference"
    allowed: tuple[str, ...] = ()
    replayed: bool = False
    detail: str | None = None


RESULTS = (
    ResultExample("Reached", "call.hold", Outcome.APPLIED, state="held"),
    ResultExample("Already so", "call.hold", Outcome.APPLIED, state="held", detail="no_change"),
    ResultExample(
        "Not allowed in this state",
        "transfer.complete",
        Outcome.REJECTED,
        reason="not_allowed",
        allowed=("call.hold", "call.mute", "call.transfer", "call.end"),
    ),
    ResultExample("No such call", "call.mute", Outcome.REJECTED, reason="unknown_call", state=None),
    ResultExample("The transfer did not come about", "call.transfer", Outcome.FAILED, reason="no_answer"),
    ResultExample("Too late to begin", "call.resume", Outcome.EXPIRED, reason="deadline", state="held"),
    ResultExample("It cannot be proven", "call.connect", Outcome.UNKNOWN, reason="create_unknown", state="waiting"),
    ResultExample("The same command again", "call.hold", Outcome.APPLIED, state="held", replayed=True),
)

_CAUSE = f"conference.CF0123456789abcdef0123456789abcdef.participant-leave.{CALL}.7"
_JOINED = f"conference.CF0123456789abcdef0123456789abcdef.participant-join.{CALL}.2"
_ACTION = action_id(CALL, 6, 0)
_HELD = report_record_id(_ACTION, "done")
_NOT_DIALLED = report_record_id(_ACTION, "failed")
_REMINDED = timer_record_id(CALL, "hold_reminder.customer-1", AT_MS)
_RECORDING = "RE0123456789abcdef0123456789abcdef"
_RECORDED = f"recording.{_RECORDING}.in-progress"
_ASKED = command_record_id(SOURCE, "desk-7-call-transfer-1")

EVENT_DATA: dict[str, EventData] = {
    "call.created": events.CallEvent(
        cause=f"voice.{CALL}", to="ringing", leg="customer-1", direction="inbound", room=f"room-{CALL}"
    ),
    "call.connected": events.CallEvent(cause=_JOINED, from_="waiting", to="in_conference"),
    "call.held": events.CallEvent(cause=_HELD, from_="in_conference", to="held", leg="customer-1"),
    "call.orphaned": events.CallEvent(cause=_CAUSE, from_="in_conference", to="orphaned", leg="agent-1"),
    "call.ended": events.CallEvent(
        cause=_CAUSE, from_="in_conference", to="ended", reason="completed", duration_s=73.5
    ),
    "leg.joined": events.LegEvent(
        cause=_JOINED,
        leg="agent-1",
        role="agent",
        from_="answered",
        to="joined",
        call_sid="CAfedcba9876543210fedcba9876543210",
        target=_AGENT,
    ),
    "leg.failed": events.LegEvent(
        cause=_CAUSE, leg="target-1", role="target", from_="ringing", to="failed", reason="busy", target=_OTHER_AGENT
    ),
    "transfer.started": events.TransferEvent(
        cause=_ASKED, transfer=_TRANSFER, mode="warm", to="preparing", initiator="agent-1"
    ),
    "transfer.attempt_failed": events.TransferEvent(
        cause=_CAUSE, transfer=_TRANSFER, mode="warm", reason="busy", leg="target-1", target=_OTHER_AGENT
    ),
    "transfer.completed": events.TransferEvent(
        cause=_CAUSE, transfer=_TRANSFER, mode="warm", from_="completing", to="completed", leg="target-2"
    ),
    "hold.reminder": events.HoldEvent(cause=_REMINDED, leg="customer-1", duration_s=60.0, count=1),
    "supervision.started": events.SupervisionEvent(
        cause=_ASKED, supervisor="supervisor-1", target="client:lead", mode="coach", coach="agent-1", to="dialing"
    ),
    "supervision.mode_changed": events.SupervisionEvent(
        cause=_JOINED,
        supervisor="supervisor-1",
        target="client:lead",
        mode="coach",
        coach="agent-1",
        from_="monitoring",
        to="coaching",
    ),
    "supervision.failed": events.SupervisionEvent(
        cause=_CAUSE, supervisor="supervisor-1", target="client:lead", mode="monitor", reason="not_confirmed"
    ),
    "recording.started": events.RecordingEvent(
        cause=_RECORDED, from_="starting", to="on", leg="customer-1", recording_sid=_RECORDING
    ),
    "recording.completed": events.RecordingEvent(
        cause=_RECORDED, from_="stopping", to="done", leg="customer-1", recording_sid=_RECORDING, duration_s=61.0
    ),
    "action.failed": events.ActionEvent(
        cause=_NOT_DIALLED,
        action=_ACTION,
        action_type="create_participant",
        outcome="failed",
        leg="agent-2",
        reason="invalid_number",
        code=21211,
        status=400,
    ),
    "fact.ignored": events.FactIgnored(cause=_CAUSE, fact="participant-leave", reason="stale", state="ended"),
}


def command(name: str) -> bytes:
    """The example of a command as structured JSON. Raises `KeyError` for a name that is none."""
    data = COMMAND_DATA[name]
    envelope = CloudEvent(
        id=_command_id(name),
        source=SOURCE,
        type=commands.type_of(name),
        specversion=SPEC_VERSION,
        subject=UNSET if name == "call.dial" else CALL,
        deadline=_DEADLINES.get(name, UNSET),
        data=msgspec.Raw(codec.encode(data)),
    )
    return codec.encode(envelope)


def result(example: ResultExample) -> bytes:
    """The example of a result as structured JSON."""
    command_id = _command_id(example.command)
    data = Result(
        command_id=command_id,
        command_source=SOURCE,
        command_type=commands.type_of(example.command),
        outcome=example.outcome,
        reason=example.reason,
        state=example.state,
        allowed=example.allowed,
        replayed=example.replayed,
        detail=example.detail,
    )
    return codec.result(event_id=result_id(SOURCE, command_id), subject=CALL, at_ms=AT_MS, data=data)


def event(name: str) -> bytes:
    """The example of an event as structured JSON. Raises `KeyError` for a name without one."""
    return codec.event(name, event_id=event_id(CALL, 7, 0), subject=CALL, at_ms=AT_MS, data=EVENT_DATA[name])


def _command_id(name: str) -> str:
    return f"desk-7-{name.replace('.', '-')}-1"
