"""Every state × stimulus pair of a supervision and of the recording: moved as its table says, or left as it was."""

import msgspec
import pytest
from msgspec.structs import replace

from calling import OTHER, Story
from engine.core.effects import Ignore
from engine.core.machines import RECORDING_TABLE, SUPERVISION_TABLE
from engine.core.tables import recordings, supervisions
from schemas.actions import RecordingStatus, UpdateParticipant, UpdateRecording
from schemas.policy import Policy, SupervisionRights
from schemas.records import ActionOutcome, ActionReport, TimerDue, Webhook
from schemas.state import NO_RECORDING, PendingAction, RecordingState, SupervisionState
from schemas.webhooks import Source
from supervising import SUPERVISOR, supervised, supervision, with_second_agent

RECORDING = "RE" + "0" * 31 + "1"
SUPERVISION_FACTS = (
    "join", "leave", "mute", "unmute", "coach", "agent leaves", "customer held", "taken", "refused", "unknown",
    "overdue", "removed by command", "call ends", "switch", "leave by command", "takeover", "transfer",
)  # fmt: skip
RECORDING_FACTS = (
    "in-progress", "completed", "absent", "failed", "paused", "shown paused", "shown in-progress", "shown stopped",
    "shown nothing", "refused", "unknown", "overdue", "pause over", "start", "pause", "resume", "stop", "call ends",
)  # fmt: skip


def in_state(state: SupervisionState, *, follow: bool) -> Story:
    """A supervised talk with two agents whose supervision is put into a state, with a switch pending."""
    policy = Policy(supervision=SupervisionRights(follow=follow))
    story = with_second_agent(supervised("coach", policy, coach="agent-1"))
    update = UpdateParticipant(
        id="the switch", call_id=story.call_id, account_sid="", at=0, deadline=0, leg=SUPERVISOR,
        conference_sid="", call_sid="", muted=True,
    )  # fmt: skip
    item = replace(supervision(story), state=state, action=update.id, former="agent-2")
    story.call = replace(story.state, supervisions=(item,), pending=(PendingAction(update, 0),))
    return story


def happens(story: Story, fact: str) -> None:  # noqa: C901 - one fact a branch
    """One thing that can happen to a supervisor."""
    match fact:
        case "join" | "mute" | "unmute":
            story.shows(SUPERVISOR, fact, Muted=fact == "mute")
        case "coach":
            story.conference("participant-modify", SUPERVISOR, Coaching="true", CallSidToCoach=story.sid_of("agent-2"))
        case "leave":
            story.leaves(SUPERVISOR)
        case "agent leaves":
            story.leaves("agent-1")
        case "customer held":
            story.shows("customer-1", "hold", Hold=True)
        case "taken" | "refused" | "unknown":
            outcome = {"taken": ActionOutcome.DONE, "refused": ActionOutcome.FAILED}.get(fact, ActionOutcome.UNKNOWN)
            story.reports(UpdateParticipant, outcome)
        case "overdue":
            due(story, f"supervision.{SUPERVISOR}")
        case "removed by command":
            story.command("call.remove", leg=SUPERVISOR)
        case "call ends":
            story.leaves("customer-1")
        case "switch":
            story.command("supervision.switch", supervisor=SUPERVISOR, mode="barge")
        case "leave by command" | "takeover":
            story.command(f"supervision.{fact.split(maxsplit=1)[0]}", supervisor=SUPERVISOR)
        case _:
            story.command("call.transfer", mode="cold", targets=[OTHER], initiator="agent-1")


def due(story: Story, name: str) -> None:
    """A timer falls due."""
    story.call = replace(story.state, timers={**story.state.timers, name: story.at})
    story.give(TimerDue(f"timer.{name}", story.call_id, story.at, name, story.at))


@pytest.mark.parametrize("fact", SUPERVISION_FACTS)
@pytest.mark.parametrize("state", SupervisionState)
@pytest.mark.parametrize("follow", [False, True])
def test_every_fact_in_every_supervision_state(state: SupervisionState, fact: str, follow: bool) -> None:
    """Never an exception, never silence: something is told, asked or answered, and what is over stays over."""
    story = in_state(state, follow=follow)
    version = story.state.version

    happens(story, fact)

    assert story.state.version == version + 1
    assert story.latest or story.state.open or fact in {"taken", "overdue"}
    after = supervision(story).state
    if state.value in {"left", "failed", "taken_over"}:
        assert after is state
    elif after is not state:
        assert after.value in supervisions.STATES


def with_recording(state: RecordingState) -> Story:
    """A talk whose recording is put into a state, with a change of it pending."""
    story = supervised()
    update = UpdateRecording(
        id="the change", call_id=story.call_id, account_sid="", at=0, deadline=0, leg="customer-1", call_sid="",
        recording_sid=RECORDING, status=RecordingStatus.PAUSED,
    )  # fmt: skip
    item = replace(NO_RECORDING, state=state, sid=RECORDING, leg="customer-1", action=update.id)
    story.call = replace(story.state, recording=item, pending=(PendingAction(update, 0),))
    return story


def records(story: Story, fact: str) -> None:
    """One thing that can happen to the recording."""
    match fact.split():
        case ["shown", status]:
            shown = None if status == "nothing" else status
            report(story, ActionOutcome.DONE, shown)
        case ["refused"]:
            report(story, ActionOutcome.FAILED)
        case ["unknown"]:
            report(story, ActionOutcome.UNKNOWN)
        case ["overdue"]:
            due(story, "recording")
        case ["pause", "over"]:
            due(story, "max_pause")
        case ["start" | "pause" | "resume" | "stop"]:
            story.command(f"recording.{fact}")
        case ["call", "ends"]:
            story.leaves("customer-1")
        case _:
            params = msgspec.Raw(msgspec.json.encode({"RecordingSid": RECORDING, "RecordingStatus": fact}))
            story.give(Webhook(f"recording.{fact}", story.call_id, story.at, Source.RECORDING, params))


def report(story: Story, outcome: ActionOutcome, shown: str | None = None) -> None:
    """The pending change has ended."""
    story.give(
        ActionReport(
            "report", story.call_id, story.at, "the change", "update_recording", outcome, recording_status=shown
        )
    )


@pytest.mark.parametrize("fact", RECORDING_FACTS)
@pytest.mark.parametrize("state", RecordingState)
def test_every_fact_in_every_recording_state(state: RecordingState, fact: str) -> None:
    """A callback moves the recording or is ignored with a reason; a command is answered or open; nothing raises."""
    story = with_recording(state)
    version, results, opened = story.state.version, len(story.results()), len(story.state.open)

    records(story, fact)

    assert story.state.version == version + 1
    if fact in {"start", "pause", "resume", "stop"}:
        assert len(story.results()) + len(story.state.open) == results + opened + 1
    if fact in {"in-progress", "completed", "absent", "failed", "paused"}:
        ignored = [effect for effect in story.latest if isinstance(effect, Ignore)]
        moved = (state.value, fact.replace("-", "_")) in RECORDING_TABLE and fact != "paused"
        assert bool(ignored) is not moved
    assert story.state.recording.state.value in recordings.STATES


def test_the_walks_know_every_stimulus() -> None:
    """Every trigger of both tables is pulled by a fact above, by the policy, a transfer's end or a conversation."""
    pulled = {
        "joined", "gone", "mode", "settled", "refused", "overdue", "coach_left", "customer_held", "transferred",
        "takeover", "leave", "start", "created", "doubtful", "in_progress", "pause", "paused", "resume", "pause_over",
        "resumed", "stop", "stopped", "completed", "absent", "failed", "leg_over", "expected", "not_begun",
    }  # fmt: skip

    assert {trigger for _, trigger in (*SUPERVISION_TABLE, *RECORDING_TABLE)} == pulled
