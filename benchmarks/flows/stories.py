"""The calls that are measured: each flow of docs/flows as records, made with the real core in the tests' own language.

All of them begin with a caller's webhook and end with everybody gone. The main job is the call that every benchmark of
the engine uses: wait, connect, hold, resume, hang up.
"""

from collections.abc import Callable

from calling import AGENT, CALL_SID, OTHER, Story, connected
from conversing import Talk
from queueing import WORKER, talking
from schemas.actions import (
    AnnounceAll,
    CreateParticipant,
    RemoveParticipant,
    StartRecording,
    UpdateParticipant,
)
from schemas.policy import Policy
from supervising import shown, supervised
from supervising import shows_mode as shows_supervisor
from workers import served, tells

MAIN = "main job"
_RECORDING = "RE" + "0" * 31 + "1"


def _over(story: Story) -> Story:
    """Everybody hangs up, the customer first."""
    for leg in [leg for leg in story.state.legs if leg.state == "joined"]:
        story.leaves(leg.leg).progress(leg.leg, "completed")
    return story.room_ends()


def _switches(story: Story, leg: str, event: str, **flags: bool) -> Story:
    """Everything asked of participants is done, and this is shown."""
    while any(isinstance(item.action, UpdateParticipant) for item in story.state.pending):
        story.twilio_does(UpdateParticipant)
    return story.shows(leg, event, **flags)


def _main() -> Story:
    story = connected().command("call.hold")
    _switches(story, "customer-1", "modify", EndConferenceOnExit=False)
    _switches(story, "customer-1", "hold", Hold=True).command("call.resume")
    return _over(_switches(story, "customer-1", "unhold", Hold=False))


def _waits() -> Story:
    story = Story().inbound().joins("customer-1").command("call.connect", to=AGENT).twilio_does(CreateParticipant)
    return _over(story.progress("agent-1", "ringing").progress("agent-1", "busy"))


def _browser() -> Story:
    story = Story().from_browser().joins("agent-1").twilio_does(CreateParticipant)
    return _over(story.progress("customer-1", "ringing").progress("customer-1", "in-progress").joins("customer-1"))


def _transfer(mode: str) -> Story:
    story = connected().command("call.transfer", mode=mode, targets=[OTHER])
    _switches(story, "customer-1", "modify", EndConferenceOnExit=False)
    if mode == "warm":
        _switches(story, "customer-1", "hold", Hold=True)
    story.twilio_does(CreateParticipant).progress("target-1", "ringing").progress("target-1", "in-progress")
    return story.joins("target-1")


def _cold() -> Story:
    return _over(_transfer("cold").twilio_does(RemoveParticipant).leaves("agent-1"))


def _warm() -> Story:
    story = _switches(_transfer("warm").command("transfer.complete"), "customer-1", "unhold", Hold=False)
    return _over(story.leaves("agent-1"))


def _swap_and_merge() -> Story:
    story = _transfer("warm").command("transfer.swap")
    _switches(story, "target-1", "hold", Hold=True).shows("customer-1", "unhold", Hold=False)
    story.command("transfer.merge")
    _switches(story, "target-1", "unhold", Hold=False).command("transfer.complete")
    return _over(story.leaves("agent-1"))


def _failed() -> Story:
    story = connected().command("call.transfer", mode="cold", targets=[OTHER, "phone:+15550100077"])
    _switches(story, "customer-1", "modify", EndConferenceOnExit=False)
    for target in ("target-1", "target-2"):
        story.twilio_does(CreateParticipant).progress(target, "ringing").progress(target, "busy")
    return _over(story)


def _supervised() -> Story:
    story = supervised().command("supervision.switch", supervisor="supervisor-1", mode="coach")
    shown(story, "coach", "agent-1").command("supervision.switch", supervisor="supervisor-1", mode="barge")
    shows_supervisor(story, "barge").command("supervision.leave", supervisor="supervisor-1")
    return _over(story.leaves("supervisor-1"))


def _recorded() -> Story:
    story = connected().command("recording.start").twilio_does(StartRecording, recording_sid=_RECORDING)
    return _over(story.after(10))


def _participants() -> Story:
    story = connected().command("call.add", to=OTHER).twilio_does(CreateParticipant).joins("third-1")
    story.command("call.announce", say="An expert has joined.").twilio_does(AnnounceAll)
    story.command("call.mute", leg="third-1")
    _switches(story, "third-1", "mute", Muted=True).command("call.remove", leg="third-1")
    return _over(story.leaves("third-1"))


def _orphan() -> Story:
    story = connected(Policy(orphan_grace_s=5)).leaves("agent-1")
    _switches(story, "customer-1", "hold", Hold=True).after(5).twilio_does(CreateParticipant)
    return _over(story.progress("agent-2", "in-progress").joins("agent-2"))


def _rescue() -> Story:
    story = connected().room_ends("conference-ended-via-api").in_room(2)
    return _over(story.joins("customer-1").joins("agent-1"))


def _queue() -> Story:
    return tells(_over(served()), "task.completed")


def _enqueued() -> Story:
    story = talking().inside("participant-leave", CALL_SID).inside("participant-leave", WORKER).room_ends()
    return story.tells("task.wrapup").tells("task.completed")


def _conversation() -> Story:
    story = Talk().called().up_to("call-answered").after(10)
    return story.told("call-completed").ends("session-success", "completed")


def _assistant() -> Story:
    story = Story().inbound().joins("customer-1").command("call.connect", to="app:AP" + "0" * 32)
    story.twilio_does(CreateParticipant).joins("ai-1").command("call.connect", to=AGENT)
    return _over(story.twilio_does(CreateParticipant).joins("agent-1").command("call.remove", leg="ai-1"))


FLOWS: dict[str, Callable[[], Story]] = {
    MAIN: _main,
    "inbound, nobody answers": _waits,
    "browser outbound": _browser,
    "cold transfer": _cold,
    "warm transfer": _warm,
    "swap and merge": _swap_and_merge,
    "failed transfer": _failed,
    "participants": _participants,
    "supervision": _supervised,
    "recording": _recorded,
    "orphan, recalled": _orphan,
    "rescue": _rescue,
    "queue": _queue,
    "TaskRouter's own queue": _enqueued,
    "AI, then human": _assistant,
    "Conversations service": _conversation,
}
