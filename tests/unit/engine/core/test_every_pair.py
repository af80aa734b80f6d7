"""Every state × stimulus pair has an outcome: it moves as the table says, or is ignored or rejected with a reason."""

from typing import Any

import pytest
from msgspec.structs import replace

from calling import AGENT, OTHER, ROOM_SID, Story, connected
from engine.core.effects import Ignore, Reply
from engine.core.machines import LEG_TABLE
from engine.core.tables.commands import ALLOWED
from engine.core.verbs.catalogue import VERBS
from schemas.actions import CreateParticipant, HangUp, RemoveParticipant
from schemas.commands import COMMANDS
from schemas.records import ActionOutcome, TimerDue
from schemas.results import Outcome
from schemas.state import CallState, LegState, PendingAction
from schemas.webhooks import Source

EXAMPLES: dict[str, dict[str, Any]] = {
    "call.dial": {"agent": AGENT, "to": "phone:+15550100009"},
    "call.connect": {"to": AGENT},
    "call.hold": {},
    "call.resume": {},
    "call.mute": {"leg": "agent-1"},
    "call.unmute": {"leg": "agent-1"},
    "call.transfer": {"mode": "cold", "targets": [OTHER]},
    "transfer.complete": {},
    "transfer.cancel": {},
    "transfer.swap": {},
    "transfer.merge": {},
    "call.supervise": {"mode": "monitor", "supervisor": OTHER},
    "supervision.switch": {"supervisor": "supervisor-1", "mode": "barge"},
    "supervision.leave": {"supervisor": "supervisor-1"},
    "supervision.takeover": {"supervisor": "supervisor-1"},
    "call.add": {"to": OTHER},
    "call.remove": {"leg": "agent-1"},
    "call.announce": {"say": "Hello"},
    "recording.start": {},
    "recording.pause": {},
    "recording.resume": {},
    "recording.stop": {},
    "call.end": {},
}
LEG_FACTS = (
    "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled", "join", "leave",
    "never added", "hold", "unhold", "mute", "unmute", "modify", "created", "create failed", "create unknown",
    "removed", "not found", "overdue", "room ended", "human", "machine",
)  # fmt: skip


def in_state(state: CallState) -> Story:
    """A connected call, put into a state."""
    story = connected()
    story.call = replace(story.state, state=state)
    return story


def with_leg(state: LegState) -> Story:
    """A connected call whose agent's leg is put into a state, with a creation of it pending."""
    story = connected()
    leg = replace(story.leg("agent-1"), state=state)
    legs = (story.leg("customer-1"), leg)
    creation = next(action for action in story.asked(CreateParticipant))
    story.call = replace(story.state, legs=legs, pending=(PendingAction(creation, story.at),))
    return story


def happens(story: Story, fact: str) -> None:  # noqa: C901 - one fact a branch
    """One fact about the agent's leg."""
    agent = story.leg("agent-1")
    match fact:
        case "join" | "hold" | "unhold" | "mute" | "unmute" | "modify":
            story.conference(f"participant-{fact}", "agent-1", Hold=str(fact == "hold").lower())
        case "leave":
            story.leaves("agent-1")
        case "never added":
            story.leaves("agent-1", "participant_add_failed", "busy")
        case "created":
            story.twilio_does(CreateParticipant)
        case "create failed":
            story.reports(CreateParticipant, ActionOutcome.FAILED, reason="invalid_number", code=21211, status=400)
        case "create unknown":
            story.reports(CreateParticipant, ActionOutcome.UNKNOWN)
        case "removed" | "not found":
            _removed(story, found=fact == "removed")
        case "overdue":
            story.call = replace(story.state, timers={"leg.agent-1": story.at})
            story.give(TimerDue("timer", story.call_id, story.at, "leg.agent-1", story.at))
        case "room ended":
            story.room_ends()
        case "human" | "machine":
            by = "machine_start" if fact == "machine" else fact
            story.webhook(Source.AMD, leg="agent-1", CallSid=agent.call_sid or "", AnsweredBy=by)
        case status:
            story.progress("agent-1", status)


def _removed(story: Story, *, found: bool) -> None:
    removal = RemoveParticipant(
        id="removal", call_id=story.call_id, account_sid="", at=0, deadline=0, leg="agent-1", conference_sid=ROOM_SID,
        call_sid=story.sid_of("agent-1"),
    )  # fmt: skip
    story.call = replace(story.state, pending=(PendingAction(removal, 0),))
    story.twilio_does(RemoveParticipant, status=204 if found else 404)


@pytest.mark.parametrize("fact", LEG_FACTS)
@pytest.mark.parametrize("state", LegState)
def test_every_fact_in_every_leg_state_moves_or_is_ignored_with_a_reason(state: LegState, fact: str) -> None:
    """A fact about a leg is applied, or the step says why it changed nothing; the version counts it either way."""
    story = with_leg(state)
    before = story.state

    happens(story, fact)

    after = story.state
    assert after.version == before.version + 1
    changed = replace(after, version=0, seen=b"") != replace(before, version=0, seen=b"")
    reasons = [effect.reason for effect in story.latest if isinstance(effect, Ignore)]
    assert changed or reasons


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", CallState)
def test_every_command_in_every_call_state_is_taken_or_rejected_with_what_is_allowed(
    state: CallState, command: str
) -> None:
    """What the state does not take is rejected with the state and the list; the rest is open or answered.

    None of these calls has a transfer to steer.
    """
    story = in_state(state)

    story.command(command, **EXAMPLES[command])

    results = [effect.result for effect in story.latest if isinstance(effect, Reply)]
    allowed = command in ALLOWED[state] or (command == "call.end" and state is CallState.ENDED)
    if command in VERBS and allowed:
        assert len(results) + len(story.state.open) == 1
    else:
        [result] = results
        assert result.outcome is Outcome.REJECTED
        assert result.reason in {"not_allowed", "not_supported"}
        assert result.state == state.value
        assert result.allowed == tuple(name for name in ALLOWED[state] if not name.startswith("transfer."))


def test_the_walk_knows_every_leg_stimulus() -> None:
    """Every trigger of the leg table is pulled by one of the facts above, or only from inside."""
    pulled = {
        "created", "create_failed", "create_doubtful", "dialing", "ringing", "answered", "joined", "ended", "left",
        "machine", "gone", "overdue", "hub_ended",
    }  # fmt: skip

    assert {trigger for _, trigger in LEG_TABLE} - pulled == {"remove", "ending", "rescued"}


def test_a_hang_up_is_pending_until_it_is_reported() -> None:
    """What is asked of Twilio stays in the state until a report names it."""
    story = (
        connected().command("call.add", to=OTHER).twilio_does(CreateParticipant).command("call.remove", leg="third-1")
    )
    hang_up = story.pending(HangUp)

    story.twilio_does(HangUp)

    assert hang_up.id not in {item.action.id for item in story.state.pending}
