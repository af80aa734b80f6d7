"""The flows of a transfer that reaches nobody."""

from flow_pages import Ending, Flow, Page
from flow_pages_transfers import COLD, cold
from flow_play import Play
from stack import AGENT, OTHER


async def _return(play: Play) -> None:
    await cold(play)
    await play.declines("target-1")


async def _recall(play: Play) -> None:
    await cold(play, "--release", "now")
    await play.declines("target-1")
    await play.answers("agent-2")


async def _voicemail(play: Play) -> None:
    await cold(play, "--on-failure", "default=voicemail")
    await play.declines("target-1")
    await play.leaves_a_message("customer-1")


async def _announce_end(play: Play) -> None:
    await cold(play, "--on-failure", "busy=announce_end")
    await play.declines("target-1")
    await play.waits_for("call.ended")


async def _requeue(play: Play) -> None:
    await play.dials_in()
    await play.answers("agent-1")
    await play.sends("call.transfer", "--mode", "cold", "--target", OTHER, "--on-failure", "default=requeue")
    await play.declines("target-1")
    await play.answers("agent-2")


FAILED_PAGE = Page(
    "failed-transfer",
    "When a transfer fails",
    """
    When no target could be reached, `on_failure` says what becomes of the customer, for each reason or for all
    (`default`). Said nothing, the customer goes back to the agent while the agent is there; else the agent is called
    again; else there is an announcement and the call ends. The transfer's result is `failed` with the reason in every
    case.
    """,
    (
        Flow("Return", "The agent is still there: the customer comes back.", _return),
        Flow("Recall", "The agent was released and is called again.", _recall),
        Flow("Voicemail", "The customer leaves the room and speaks to a message box.", _voicemail),
        Flow("Announce and end", "The customer hears a goodbye.", _announce_end),
        Flow(
            "Requeue",
            "The agent goes, and the route of the policy starts again.",
            _requeue,
            f'["+15550100"]\nroute = ["{AGENT}"]\n',
        ),
    ),
    (
        Ending("return", "the customer unheld with the agent", "`failed` with the reason", "Return"),
        Ending("recall", "the agent's `participant-join`", "`failed` with the reason", "Recall"),
        Ending(
            "recall fails too",
            "no agent",
            "`failed`; announcement, end",
            f"{COLD}test_a_recall_that_fails_too_ends_with_an_announcement",
        ),
        Ending("requeue", "the route begins again", "`failed` with the reason", "Requeue"),
        Ending("voicemail", "the leg leaves the room for the message box", "`failed` with the reason", "Voicemail"),
        Ending(
            "announce_end",
            "the leg leaves the room for the announcement",
            "`failed` with the reason",
            "Announce and end",
        ),
        Ending(
            "one per reason",
            "the reason of the last attempt",
            "`failed` with the reason",
            f"{COLD}test_a_disposition_is_chosen_by_the_reason",
        ),
    ),
)
