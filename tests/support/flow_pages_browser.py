"""The flow that an agent begins from the browser."""

from flow_pages import Ending, Flow, Page
from flow_play import Play

CUSTOMER = "+15550144"


async def _browser(play: Play) -> None:
    await play.browser_dials("client:anna", CUSTOMER)
    await play.answers("customer-1")


async def _browser_busy(play: Play) -> None:
    await play.browser_dials("client:anna", CUSTOMER)
    await play.declines("customer-1")


async def _browser_told(play: Play) -> None:
    await play.browser_dials("client:anna", CUSTOMER)
    await play.declines("customer-1")
    await play.waits_for("call.ended")


async def _browser_machine(play: Play) -> None:
    await play.person(CUSTOMER, answer="machine", ring_s=0.05, detect_s=0.1)
    await play.browser_dials("client:anna", CUSTOMER)
    await play.waits_for("call.ended")
    await play.person(CUSTOMER, answer="asks")


async def _browser_gives_up(play: Play) -> None:
    await play.browser_dials("client:anna", CUSTOMER)
    await play.hangs_up("agent-1")


BROWSER = Page(
    "browser-outbound",
    "An agent calls from the browser",
    """
    The agent's browser calls Twilio's TwiML application, which leads to Cordboard like a number does. The agent is in
    the room first; then the customer is dialled, with the account's number as caller id.
    """,
    (
        Flow("The customer answers", "They talk.", _browser),
        Flow(
            "The customer is busy",
            "The agent is not left alone in the room; `call.unanswered` says why.",
            _browser_busy,
        ),
        Flow("The agent gives up", "The customer's phone stops ringing.", _browser_gives_up),
        Flow(
            "The agent is told",
            'With `unanswered = "announce"` the agent hears what happened before the call ends.',
            _browser_told,
            '[defaults]\nunanswered = "announce"\n',
        ),
        Flow(
            "An answering machine",
            "The message is spoken after the machine's tone, outside the room; the agent's call ends.",
            _browser_machine,
            '[defaults]\nmachine = "voicemail_message"\n',
        ),
    ),
    (
        Ending("connected", "the customer's `participant-join`", "no command", "The customer answers"),
        Ending(
            "unanswered",
            "call status `busy`, `no-answer`, `failed`",
            "no command; `call.unanswered`",
            "The customer is busy",
        ),
        Ending("unanswered, and the agent is told", "the same", "no command; `call.unanswered`", "The agent is told"),
        Ending(
            "an answering machine",
            "the verdict of the detection",
            "no command; `call.unanswered` (`machine`)",
            "An answering machine",
        ),
        Ending("cancelled by the agent", "`participant-leave` of the agent", "no command", "The agent gives up"),
    ),
)
