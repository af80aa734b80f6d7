"""The flows of other people in a call, of callers without an agent, and of agents who vanish."""

from flow_pages import Ending, Flow, Page
from flow_play import Play
from stack import OTHER

CORE = "unit/engine/core"


async def _added(play: Play) -> None:
    await play.talks()
    await play.sends("call.add", "--to", OTHER)
    await play.answers("third-1")
    await play.sends("call.announce", "--say", "An expert has joined.")
    await play.sends("call.mute", "--leg", "third-1")
    await play.sends("call.unmute", "--leg", "third-1")
    await play.sends("call.remove", "--leg", "third-1")


async def _add_declined(play: Play) -> None:
    await play.talks()
    await play.sends("call.add", "--to", OTHER)
    await play.declines("third-1")


async def _remove_the_agent(play: Play) -> None:
    await play.talks()
    await play.sends("call.remove", "--leg", "agent-7")


PARTICIPANTS = Page(
    "participants",
    "Other participants",
    """
    Anybody else can be brought into the room (`call.add`), kept from speaking (`call.mute`), spoken to
    (`call.announce`) and taken out (`call.remove`). They get a leg of their own, named by its role and a number.
    """,
    (
        Flow("Add, announce, mute, remove", "An expert comes and goes; customer and agent stay together.", _added),
        Flow("The expert declines", "The talk goes on.", _add_declined),
        Flow("A leg that is not there", "Rejected at once; nothing is asked of Twilio.", _remove_the_agent),
    ),
    (
        Ending("added", "`participant-join`", "`applied`", "Add, announce, mute, remove"),
        Ending("not reached", "call status", "`failed` with the reason", "The expert declines"),
        Ending("removed", "`participant-leave`", "`applied`", "Add, announce, mute, remove"),
        Ending("no such leg", "the state", "`rejected`", "A leg that is not there"),
        Ending(
            "an AI agent",
            "its `participant-join`",
            "`applied`",
            f"{CORE}/test_assistants.py::test_human_to_ai_and_back",
        ),
    ),
)

_RECALL = '[defaults]\norphan = ["recall", "announce_end"]\norphan_grace_s = 1\n'


async def _recalled(play: Play) -> None:
    await play.talks()
    await play.hangs_up("agent-1")
    await play.waits_for("leg.ringing", times=2)
    await play.answers("agent-2")


async def _not_recalled(play: Play) -> None:
    await play.talks()
    await play.hangs_up("agent-1")
    await play.waits_for("leg.ringing", times=2)
    await play.declines("agent-2")
    await play.waits_for("call.ended")


ORPHAN = Page(
    "orphan-recall",
    "The agent vanishes",
    """
    When the last agent has gone and the customer is still there, the call is an orphan. After a grace of
    `orphan_grace_s` seconds, in which the agent may come back or a service may connect another one, the steps of
    `orphan` are tried in order.
    """,
    (
        Flow("The agent is called back", "The customer hears music meanwhile.", _recalled, _RECALL),
        Flow("The agent does not answer", "The last step is an announcement, and the end.", _not_recalled, _RECALL),
    ),
    (
        Ending(
            "recovered", "an agent's `participant-join`", "no command; `call.recovered`", "The agent is called back"
        ),
        Ending("given up", "no step left", "no command; `call.ended`", "The agent does not answer"),
        Ending(
            "several are rung, and one of them fails",
            "call status",
            "goes on waiting for the others",
            "unit/engine/core/test_orphans.py::test_one_who_fails_does_not_end_the_ringing_of_the_other",
        ),
        Ending(
            "requeued", "the route begins again", "no command", f"{CORE}/test_policies.py::test_an_orphan_is_requeued"
        ),
        Ending(
            "voicemail",
            "the leg leaves the room",
            "no command",
            f"{CORE}/test_policies.py::test_orphan_steps_that_end_the_call",
        ),
    ),
)


async def _rescued_both(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", OTHER, "--whisper", '{"say": "A caller from Branford"}')
    await play.answers("agent-1")
    await play.waits_for("call.connected")
    play.begins("customer-1 and agent-1 are in conference")
    await play.room_is_lost()


async def _rescued_alone(play: Play) -> None:
    await play.talks()
    await play.room_is_lost()
    await play.waits_for("leg.ringing", times=2)
    await play.answers("agent-2")


async def _rescued_waiting(play: Play) -> None:
    await play.dials_in()
    play.begins("customer-1 waits in the room")
    await play.room_is_lost()


_RESCUES = f"{CORE}/test_rescues.py::"
RESCUE = Page(
    "rescue",
    "The conference is lost",
    """
    Twilio ends a conference although nobody in it wanted it to: somebody has ended it by the API, an agent has taken it
    along, or it is simply gone. Whose own call goes on, stays on the line for ten seconds, and is redirected into a
    fresh conference of the same call, `room2-…`. Nobody is dialled for that. Legs that were made by the Participants
    API are hung up with their conference; an agent among them is called back as the policy's `orphan` says, without the
    grace. A transfer that was under way has failed (`hub_ended`), supervisors have gone. A call has three rescues.
    """,
    (
        Flow("Both calls are up", "The agent came by way of our TwiML, as one does after a whisper.", _rescued_both),
        Flow("The agent was hung up with the room", "The customer hears music, the agent is called.", _rescued_alone),
        Flow("A caller was waiting", "They go on waiting, and the limit runs on.", _rescued_waiting),
    ),
    (
        Ending("both go on", "`participant-join` of both", "no command; `call.recovered`", "Both calls are up"),
        Ending(
            "the agent is called back",
            "the redirect is refused",
            "no command; `call.rescued`, then as an orphan",
            "The agent was hung up with the room",
        ),
        Ending("the wait goes on", "`participant-join` of the customer", "`call.rescued`", "A caller was waiting"),
        Ending(
            "the customer is gone too",
            "the redirect is refused",
            "no command; `call.ended` (`hub_ended`)",
            f"{_RESCUES}test_a_customer_who_is_gone_too_ends_the_call",
        ),
        Ending(
            "lost a fourth time",
            "`conference-end`",
            "no command; `call.ended` (`hub_ended`)",
            f"{CORE}/test_rescues_bounds.py::test_a_call_has_three_rescues",
        ),
        Ending(
            "every callback was lost",
            "the next look finds the room gone and the caller there",
            "no command; `call.rescued`",
            f"{CORE}/test_rescues_bounds.py::test_a_look_finds_the_room_gone_and_the_caller_there",
        ),
    ),
)


async def _message(play: Play) -> None:
    await play.dials_in()
    await play.waits_for("leg.left")
    await play.leaves_a_message("customer-1")


VOICEMAIL = Page(
    "voicemail-after-wait",
    "Voicemail after the wait",
    """
    Nobody has come for the caller within `max_wait_s`. The caller is taken out of the room to Cordboard's message
    box; the recording is told as an event when Twilio has finished it, which may be after the end of the call.
    """,
    (
        Flow(
            "The caller leaves a message",
            "They speak, then hang up.",
            _message,
            '[defaults]\nmax_wait_s = 2\nmax_wait = "voicemail"\n',
        ),
    ),
    (
        Ending("a message", "`/v1/voice/voicemail` with the recording", "no command", "The caller leaves a message"),
        Ending(
            "told after the end",
            "the recording's callback",
            "no command",
            f"{CORE}/test_policies.py::test_a_message_that_was_left_is_told_after_the_end",
        ),
        Ending(
            "waiting for ever",
            "`max_wait_s = 0`",
            "no command",
            f"{CORE}/test_policies.py::test_max_wait_0_waits_for_ever",
        ),
    ),
)

PARTY_PAGES = (PARTICIPANTS, ORPHAN, RESCUE, VOICEMAIL)
