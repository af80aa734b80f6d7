"""Every state × stimulus pair of a session, and what holds for it whatever happens in whatever order."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from calling import CALL_SID, ROOM_SID, Story
from conversing import STEPS, Talk, conversation
from engine.core.effects import Ignore, Reply
from engine.core.machines import SESSION_TABLE
from engine.core.tables import sessions
from engine.core.tables.commands import IN_CONVERSATION
from engine.core.verbs.catalogue import VERBS
from schemas.actions import HangUp, LookUp
from schemas.records import ActionOutcome, CallSeen, TimerDue
from schemas.sessions import LIVE_SESSION_STATES, SessionState
from schemas.state import CallState, LegState, PendingAction
from schemas.webhooks import Source

FACTS = (
    *STEPS, "success", "success, gone", "no answer", "no answer, gone", "into the room", "caller hung up",
    "seen gone", "seen answered", "seen over", "overdue", "call.end", "not found", "conference", "recording",
    "message left", "machine", "dialled again",
)  # fmt: skip
TRIGGERS = {
    "call-initiated": "initiated", "call-ringing": "ringing", "call-answered": "answered",
    "call-completed": "completed", "success": "connected", "success, gone": "connected", "no answer": "unreached",
    "no answer, gone": "unreached", "into the room": "unreached", "caller hung up": "caller_left",
    "seen gone": "caller_left", "seen answered": "answered", "seen over": "completed", "overdue": "overdue",
    "call.end": "end_asked", "not found": "caller_left",
}  # fmt: skip
"""The trigger that a fact pulls; the others pull none."""


UNSAID = {"seen gone", "seen answered", "seen over", "overdue", "call.end", "not found", "message left"}
"""What is answered, told, or no news where it pulls nothing."""

OF_A_ROOM = {"conference", "machine"}
"""What the machines of a room take once the session is over."""


def in_state(state: SessionState) -> Talk:
    """A session in a state, with its leg known; one that is over has ended by its result."""
    talk = Talk(conversation(record="record-from-answer")).called().told("call-ringing", number=0)
    match state:
        case SessionState.SUCCEEDED:
            return talk.ends("session-success", "completed")
        case SessionState.FAILED:
            return talk.ends("dialed-call-incomplete", "busy", led_to="voicemail")
        case SessionState.ABANDONED:
            return talk.ends("dialed-call-incomplete", "canceled", gone=True)
    talk.call = replace(talk.state, session=replace(talk.session, state=state, talked=state is SessionState.TALKING))
    return talk


def happens(talk: Talk, fact: str) -> None:  # noqa: C901, PLR0912 - one fact a branch
    """One thing that can happen to a session."""
    match fact:
        case "success" | "success, gone":
            talk.ends("session-success", "completed", gone=fact.endswith("gone"))
        case "no answer" | "no answer, gone":
            talk.ends("dialed-call-incomplete", "no-answer", led_to="voicemail", gone=fact.endswith("gone"))
        case "into the room":
            talk.ends("internal-error", led_to="wait")
        case "caller hung up":
            talk.progress("customer-1", "completed")
        case "seen gone":
            look(talk, CALL_SID, "completed")
        case "seen answered" | "seen over":
            look(talk, talk.sid_of("agent-1"), "busy" if fact == "seen over" else "in-progress")
        case "overdue":
            talk.call = replace(talk.state, timers={**talk.state.timers, "conversation": talk.at})
            talk.give(TimerDue("timer", talk.call_id, talk.at, "conversation", talk.at))
        case "call.end":
            talk.command("call.end")
        case "not found":
            talk.call = replace(talk.state, pending=())
            talk.command("call.end")
            if any(isinstance(item.action, HangUp) for item in talk.state.pending):
                talk.reports(HangUp, ActionOutcome.FAILED, status=404)
        case "conference":
            talk.webhook(Source.CONFERENCE, ConferenceSid=ROOM_SID, StatusCallbackEvent="conference-start")
        case "recording":
            talk.webhook(Source.RECORDING, action="other", RecordingSid="RE9", RecordingStatus="completed")
        case "message left":
            talk.webhook(Source.VOICEMAIL, leg="customer-1", CallSid=CALL_SID, RecordingDuration="3")
        case "machine":
            talk.webhook(Source.AMD, leg="agent-1", CallSid=talk.sid_of("agent-1"), AnsweredBy="human")
        case "dialled again":
            talk.webhook(Source.CONVERSATION_STATUS, DialCallSid="CA9", Status="call-answered", SequenceNumber="9")
        case status:
            talk.told(status)


def look(talk: Talk, call_sid: str, status: str) -> None:
    """A look at the calls has been asked for, and shows one of them."""
    action = LookUp(
        id="look", call_id=talk.call_id, account_sid="", at=talk.at, deadline=talk.at, room="", call_sids=(call_sid,)
    )
    talk.call = replace(talk.state, pending=(PendingAction(action, talk.at),))
    talk.looks(calls=(CallSeen(call_sid, status),))


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("state", SessionState)
def test_every_fact_in_every_session_state(state: SessionState, fact: str) -> None:
    """It moves the session as the table says, or is ignored with a reason; what is over stays over."""
    talk = in_state(state)

    happens(talk, fact)

    arcs = SESSION_TABLE.get((state.value, TRIGGERS.get(fact, "")), ())
    assert talk.where() in ({arc.target for arc in arcs} or {state})
    if not arcs and fact not in UNSAID and (state in LIVE_SESSION_STATES or fact not in OF_A_ROOM):
        assert [effect for effect in talk.latest if isinstance(effect, Ignore)]


def test_the_walk_knows_every_stimulus() -> None:
    """Every trigger of the table is pulled by a fact above."""
    assert {trigger for _, trigger in SESSION_TABLE} == set(TRIGGERS.values())


def test_whatever_ends_a_session_is_taken_wherever_it_is() -> None:
    """A session that lives can always end: its result, its caller's end, a look and a command are taken everywhere."""
    for trigger in ("connected", "unreached", "caller_left", "overdue", "end_asked"):
        assert {state for state, pulled in SESSION_TABLE if pulled == trigger} == set(sessions.LIVE)


@pytest.mark.parametrize("command", VERBS)
@pytest.mark.parametrize("state", SessionState)
def test_every_command_in_every_session_state(state: SessionState, command: str) -> None:
    """While the service has the call only its end is taken; everything else is refused with that, and does nothing."""
    talk = in_state(state)
    asked = len(talk.asked())

    talk.command(command)

    results = [effect.result for effect in talk.latest if isinstance(effect, Reply)]
    if state in LIVE_SESSION_STATES and command not in IN_CONVERSATION:
        [result] = results
        assert (result.outcome, result.reason, result.allowed) == ("rejected", "in_conversation", IN_CONVERSATION)
        assert len(talk.asked()) == asked
    elif state in LIVE_SESSION_STATES:
        assert talk.state.open


def sound(talk: Story) -> None:
    """What must hold after every record."""
    call = talk.call
    assert call is not None
    session = call.session
    assert session is not None
    if call.in_conversation:
        assert call.state in {CallState.RINGING, CallState.IN_CONFERENCE}
        assert {"conversation", "reap"} & set(call.timers), "nothing would ever wake this session"
        assert not [name for name in call.timers if name.startswith("leg.")], "a leg's timer would hang somebody up"
        assert talk.leg(session.waiting).state in {LegState.RINGING, LegState.ANSWERED}
    elif session.state is not SessionState.FAILED or session.outcome != "wait":
        assert call.state is CallState.ENDED
        assert not call.open
        assert all(leg.state in {LegState.LEFT, LegState.FAILED} for leg in call.legs)


@given(st.lists(st.sampled_from(FACTS), max_size=12), st.booleans())
@settings(max_examples=200, deadline=None)
def test_nothing_that_happens_leaves_a_session_that_cannot_end(many: list[str], outbound: bool) -> None:
    """Any facts in any order, repeated: never an exception, always a timer, nobody hung up for a lost callback."""
    talk = Talk(conversation())
    _ = talk.worker_calls() if outbound else talk.called()
    for fact in many:
        if talk.state.in_conversation and not (outbound and fact == "caller hung up"):
            happens(talk, fact)
            sound(talk)
    if not [fact for fact in many if fact in {"call.end", "not found"}]:
        assert not [action for action in talk.asked() if isinstance(action, HangUp)]


def test_each_permutation_of_the_facts_of_a_talk_ends_in_the_same_place() -> None:
    """Status callbacks, the result and the caller's own end, in any order, with duplicates."""
    ends: set[tuple[str, ...]] = set()
    facts: list[Callable[[Talk], Talk]] = [
        lambda talk: talk.told("call-ringing"),
        lambda talk: talk.told("call-answered"),
        lambda talk: talk.told("call-completed"),
        lambda talk: talk.ends("session-success", "completed", gone=True),
        lambda talk: talk.progress("customer-1", "completed"),
    ]
    for first in range(5):
        for second in range(5):
            talk = Talk().called()
            for position in (first, second, *range(5), first):
                facts[position](talk)
            ends.add((talk.now(), talk.where(), *(f"{leg.leg} {leg.state} {leg.reason}" for leg in talk.state.legs)))
    assert len(ends) == 1
