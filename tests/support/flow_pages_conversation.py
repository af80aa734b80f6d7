"""The flow in which a Conversations service has the call."""

from flow_pages import Ending, Flow, Page
from flow_play import Play
from stack import AGENT

SERVICE = "IS" + "0" * 31 + "1"
WORKER, CUSTOMER = "client:worker", "+15550144"
CORE = "unit/engine/core/test_conversations.py"
PLAYED = "integration/test_conversations.py"
POLICY = f"""["+15550100"]
route = "conversation:{SERVICE}"

["+15550100".conversation]
record = "record-from-answer-dual"
on_failure = {{ no_answer = "voicemail", busy = "wait" }}
"""
IMPATIENT = POLICY.replace("record =", "inbound_timeout_s = 2\nrecord =")


async def _called(play: Play) -> None:
    await play.stage.twilio("PUT", f"/conversations/{SERVICE}", {"worker": WORKER})
    await play.dials_in()


async def _answered(play: Play) -> None:
    await _called(play)
    await play.answers("agent-1")
    await play.sends("call.hold")
    await play.hangs_up("agent-1")


async def _gives_up(play: Play) -> None:
    await _called(play)
    await play.hangs_up("customer-1")


async def _into_the_room(play: Play) -> None:
    await _called(play)
    await play.declines("agent-1")
    await play.sends("call.connect", "--to", AGENT)
    await play.answers("agent-2")


async def _worker_calls(play: Play) -> None:
    await play.stage.twilio("PUT", f"/conversations/{SERVICE}", {"worker": WORKER})
    await play.browser_dials(WORKER, CUSTOMER)
    await play.answers("customer-1")
    await play.hangs_up("customer-1")


async def _nobody_answers(play: Play) -> None:
    await _called(play)
    await play.waits_for("call.ended")
    await play.leaves_a_message("customer-1")


CONVERSATION_PAGE = Page(
    "conversation",
    "A Conversations service takes the call",
    """
    The number's `route` is `conversation:IS…`: the caller is answered with `<Connect><Conversation>`, and Twilio's
    Conversations service finds a worker, dials and connects the two. There is no room, so nothing but `call.end` can
    be commanded. The status callbacks tell how far it is, in the order of their SequenceNumber; the request to the
    action tells how it ended, and its answer is what the policy has for a caller who was not connected. With a
    `whisper`, the call counts as connected when the worker has picked up and listens to it.
    """,
    (
        Flow("The worker answers", "They talk, recorded by the service; then the worker hangs up.", _answered, POLICY),
        Flow("The caller gives up", "The worker's phone stops ringing.", _gives_up, POLICY),
        Flow(
            "The worker is busy",
            '`busy = "wait"`: the caller comes into the room of the call, and a service connects somebody else.',
            _into_the_room,
            POLICY,
        ),
        Flow(
            "A worker calls from the browser",
            "The other way round: the worker's leg waits while the service dials the customer.",
            _worker_calls,
            POLICY,
        ),
        Flow(
            "Nobody answers",
            'After `inbound_timeout_s`; `no_answer = "voicemail"`: the caller may leave a message.',
            _nobody_answers,
            IMPATIENT,
        ),
    ),
    (
        Ending("talked", "Result `session-success`", "no command", "The worker answers"),
        Ending("the caller gives up", "Result with CallStatus `completed`", "`call.abandoned`", "The caller gives up"),
        Ending("busy", "`dialed-call-incomplete`, `busy`", "`call.unanswered`", "The worker is busy"),
        Ending("no answer", "`dialed-call-incomplete`, `no-answer`", "`call.unanswered`", "Nobody answers"),
        Ending(
            "failed, cancelled, declined in the whisper",
            "`dialed-call-incomplete`, `failed`, `canceled`, `completed`",
            "`call.unanswered`",
            f"{CORE}::test_a_worker_who_is_not_reached",
        ),
        Ending(
            "no worker in time",
            "`no-other-participants`",
            "`call.unanswered`",
            f"{PLAYED}::test_no_worker_in_time_leads_to_a_message_box",
        ),
        Ending(
            "no conversation, an invalid one, an error of Twilio's",
            "`failed-create-conversation`, `no-existing-conversation`, `invalid-conversation`, `internal-error`",
            "`call.unanswered`",
            f"{PLAYED}::test_twilios_other_results",
        ),
        Ending("by command", "the caller's leg is hung up", "`applied`", f"{PLAYED}::test_call_end_hangs_up"),
        Ending(
            "no callback at all",
            "the timer conversation, then a look at the calls",
            "no command",
            f"{CORE}::test_a_session_that_nobody_tells_about_is_looked_at_again_and_again",
        ),
    ),
)
