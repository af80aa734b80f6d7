"""Bad input: refused with the reason and what is allowed, and nothing is asked of Twilio."""

import re
from pathlib import Path
from typing import Any

import pytest

from calling import AGENT, OTHER, Story, connected
from engine.core import verbs
from engine.core.advice import TOLD, WORDS
from engine.core.effects import Reply, RequestAction
from engine.core.tables.commands import ALLOWED
from schemas.policy import Policy, SupervisionRights
from schemas.results import Outcome

BAD: list[tuple[str, dict[str, Any], str, str]] = [
    # an impossible target
    ("call.connect", {"to": "alice"}, "invalid", "Expected phone:+E164, sip:user@host"),
    ("call.connect", {"to": "phone:5550100"}, "invalid", "Expected phone:+E164, sip:user@host"),
    ("call.add", {"to": "app:AP1"}, "invalid", "Expected phone:+E164, sip:user@host"),
    ("call.connect", {"to": "queue:billing"}, "taskrouter_not_configured", "_WORKFLOW"),
    ("call.transfer", {"mode": "cold", "targets": []}, "invalid", "Expected `array` of length >= 1"),
    ("call.transfer", {"mode": "cold", "targets": ["nobody"]}, "invalid", "Expected phone:+E164, sip:user@host"),
    ("call.transfer", {"mode": "cold", "targets": ["queue:billing"]}, "taskrouter_not_configured", "_WORKFLOW"),
    ("call.supervise", {"mode": "monitor", "supervisor": "queue:leads"}, "not_a_person", "expected phone:"),
    # a leg that is not there
    ("call.hold", {"leg": "agent-7"}, "unknown_leg", "there are customer-1 (joined), agent-1 (joined)"),
    ("call.mute", {"leg": "supervisor"}, "unknown_leg", "there are customer-1 (joined), agent-1 (joined)"),
    ("call.remove", {"leg": "third-1"}, "unknown_leg", "there are customer-1 (joined), agent-1 (joined)"),
    ("call.announce", {"leg": "ai", "say": "Hello"}, "unknown_leg", "there are customer-1"),
    ("call.mute", {"leg": "the boss"}, "invalid", "Expected leg id (`agent-1`)"),
    ("call.transfer", {"mode": "cold", "targets": [OTHER], "initiator": "agent-9"}, "unknown_leg", "there are"),
    ("call.transfer", {"mode": "cold", "targets": [OTHER], "initiator": "customer-1"}, "not_an_agent", "there are"),
    ("call.supervise", {"mode": "coach", "supervisor": OTHER, "coach": "agent-9"}, "unknown_leg", "there are"),
    ("call.supervise", {"mode": "coach", "supervisor": OTHER, "coach": "customer-1"}, "not_an_agent", "there are"),
    ("supervision.switch", {"supervisor": "supervisor-1", "mode": "barge"}, "unknown_leg", "there are"),
    # a mode that is unknown
    ("call.transfer", {"mode": "lukewarm", "targets": [OTHER]}, "invalid", "expected cold, warm, consult"),
    ("call.supervise", {"mode": "spy", "supervisor": OTHER}, "invalid", "expected monitor, coach, barge"),
    ("call.transfer", {"mode": "cold", "targets": [OTHER], "release": "later"}, "invalid", "expected now, on_ring"),
    (
        "call.transfer",
        {"mode": "cold", "targets": [OTHER], "on_failure": {"busy": "cry"}},
        "invalid",
        "expected return",
    ),
    # values that cannot be
    ("call.connect", {"to": AGENT, "ring_timeout_s": 0}, "invalid", "Expected `int` >= 5"),
    ("call.connect", {"to": AGENT, "whisper": {"say": "a", "play": "https://x.test/a"}}, "invalid", "exactly one of"),
    ("call.hold", {"audio": "music"}, "invalid", "must be an http(s) URL"),
    ("call.announce", {}, "invalid", "exactly one of"),
    ("recording.pause", {}, "not_recording", "the recording is off"),
    ("recording.resume", {}, "not_paused", "the recording is off"),
    ("transfer.complete", {}, "not_allowed", ""),
]


@pytest.mark.parametrize(("command", "data", "reason", "told"), BAD)
def test_it_is_refused_and_nothing_is_done(command: str, data: dict[str, Any], reason: str, told: str) -> None:
    """One result, with the state, the reason, what was wrong, and the commands that would be taken."""
    story = connected()
    before = story.state

    story.command(command, **data)

    [result] = [effect.result for effect in story.latest if isinstance(effect, Reply)]
    assert (result.outcome, result.reason, result.state) == (Outcome.REJECTED, reason, before.state.value)
    assert told in (result.detail or "")
    assert result.allowed == ALLOWED[before.state]
    assert not [effect for effect in story.latest if isinstance(effect, RequestAction)]
    assert (story.state.legs, story.state.transfer) == (before.legs, before.transfer)


@pytest.mark.parametrize("data", [{"agent": "queue:sales", "to": OTHER}, {"agent": AGENT, "to": "queue:sales"}])
def test_a_queue_cannot_be_dialled(data: dict[str, Any]) -> None:
    """`call.dial` begins no call then."""
    story = Story(call_id="dial-1").command("call.dial", **data)

    [result] = story.results()
    assert (result.outcome, result.reason) == (Outcome.REJECTED, "not_a_person")
    assert "expected phone:" in (result.detail or "")
    assert (story.call, story.asked()) == (None, [])


def test_a_right_that_is_missing_is_said_with_those_that_there_are() -> None:
    """`not_permitted` names the policy's patterns."""
    rights = SupervisionRights(monitor=("client:qa-*",), coach=("client:lead-*", "client:boss"), barge=())

    story = connected(Policy(supervision=rights)).command("call.supervise", mode="barge", supervisor=OTHER)

    [result] = story.results()[-1:]
    assert result.reason == "not_permitted"
    assert result.detail == (
        "the policy allows monitor to client:qa-*; coach to client:lead-*, client:boss; barge to nobody"
    )


def test_every_reason_without_words_of_its_own_has_advice() -> None:
    """A verb that refuses with a bare reason finds words for it here; the call's state and `allowed` say the rest."""
    said = set(WORDS) | set(TOLD)

    bare = {
        reason
        for path in Path(verbs.__path__[0]).glob("*.py")
        for reason in re.findall(r'(?:return|rejected\(turn, command,|refusal or|else) "([a-z_]+)"', path.read_text())
    }

    assert bare - said <= {"too_late", "not_allowed", "caller_in_queue", "supervised"}, "these say it themselves"
