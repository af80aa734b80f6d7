"""The flows by which a customer is handed from one to another."""

from flow_pages import Ending, Flow, Page
from flow_play import Play
from stack import OTHER

COLD = "unit/engine/core/test_cold_transfer.py::"
WARM = "unit/engine/core/test_warm_transfer.py::"
EXTERNAL = "phone:+15550155"


async def cold(play: Play, *words: str, to: str = OTHER) -> None:
    """An agent hands the customer over."""
    await play.talks()
    await play.sends("call.transfer", "--mode", "cold", "--target", to, *words)


async def warm(play: Play) -> None:
    """An agent asks another one first, who answers."""
    await play.talks()
    await play.sends("call.transfer", "--mode", "warm", "--target", OTHER)
    await play.answers("target-1")


async def _on_answer(play: Play) -> None:
    await cold(play)
    await play.answers("target-1")


async def _on_ring(play: Play) -> None:
    await cold(play, "--release", "on_ring")
    await play.answers("target-1")


async def _now(play: Play) -> None:
    await cold(play, "--release", "now", to=EXTERNAL)
    await play.answers("target-1")


async def _second_target(play: Play) -> None:
    await cold(play, "--target", EXTERNAL)
    await play.declines("target-1")
    await play.answers("target-2")


async def _cold_cancel(play: Play) -> None:
    await cold(play)
    await play.sends("transfer.cancel")


async def _cold_customer_leaves(play: Play) -> None:
    await cold(play)
    await play.hangs_up("customer-1")


COLD_PAGE = Page(
    "cold-transfer",
    "Cold transfer",
    """
    The customer is handed to somebody else without a talk before. `release` says when the agent who asked is let go:
    when the target has answered (`on_answer`, the default), when it rings (`on_ring`), or at once (`now`). Nobody is
    let go before Twilio has confirmed that the room will survive it. `applied` means that customer and target are
    together and the agent is gone, all three seen.
    """,
    (
        Flow(
            "Released on answer", "The customer is never alone: the agent stays until the target is there.", _on_answer
        ),
        Flow("Released on ring", "The agent goes when the target's phone rings.", _on_ring),
        Flow(
            "Released now, to an external number",
            "The agent goes at once; an outside number is dialled with the call's own number as caller id.",
            _now,
        ),
        Flow(
            "The second target answers",
            "Targets are tried in their order, and each failed attempt is told.",
            _second_target,
        ),
        Flow("Cancelled while it rings", "Everything is as it was before.", _cold_cancel),
        Flow(
            "The customer hangs up while it rings", "The target's phone stops ringing at once.", _cold_customer_leaves
        ),
    ),
    (
        Ending("completed", "customer unheld, target joined, agent left", "`applied`", "Released on answer"),
        Ending(
            "a target failed, another one answers",
            "`transfer.attempt_failed`",
            "`applied`",
            "The second target answers",
        ),
        Ending(
            "nobody can be reached",
            "no target left",
            "`failed` with the last reason; see failed-transfer.md",
            f"{COLD}test_a_target_that_cannot_be_reached_gives_the_customer_back",
        ),
        Ending(
            "cancelled",
            "`transfer.cancel`",
            "`failed` (`cancelled`); the cancel is `applied`",
            "Cancelled while it rings",
        ),
        Ending(
            "cancelled too late",
            "the target has joined",
            "the cancel is `rejected`",
            f"{COLD}test_cancel_comes_too_late",
        ),
        Ending(
            "cancel races the answer",
            "the target joins while it is cancelled",
            "`failed` (`cancelled`); the target is taken out",
            f"{COLD}test_cancel_races_the_answer",
        ),
        Ending(
            "the customer hangs up",
            "`participant-leave` of the customer",
            "`failed` (`abandoned`)",
            "The customer hangs up while it rings",
        ),
        Ending(
            "the agent hangs up",
            "`participant-leave` of the agent, not ours",
            "goes on; `applied` when the target answers",
            f"{COLD}test_the_initiator_hangs_up_while_the_target_rings",
        ),
        Ending(
            "the flags cannot be cleared",
            "the REST result",
            "`failed`; nothing was dialled",
            f"{COLD}test_flags_that_cannot_be_cleared_undo_the_transfer",
        ),
        Ending(
            "an invalid number",
            "Twilio refuses the creation",
            "`failed` (`failed`), no second try",
            f"{COLD}test_an_invalid_number_fails_the_attempt_without_another_try",
        ),
        Ending(
            "the room ends under it",
            "`conference-end` that we did not ask for",
            "`failed` (`hub_ended`); the call is rescued",
            f"{COLD}test_the_room_ends_under_a_transfer",
        ),
        Ending(
            "a second transfer",
            "one is under way",
            "`rejected` (`transfer_in_progress`)",
            f"{COLD}test_a_second_transfer_is_rejected_with_the_first_ones_id",
        ),
    ),
)


async def _complete(play: Play) -> None:
    await warm(play)
    await play.sends("transfer.complete")


async def _initiator_leaves(play: Play) -> None:
    await warm(play)
    await play.hangs_up("agent-1")


async def _cancel(play: Play) -> None:
    await warm(play)
    await play.sends("transfer.cancel")


async def _warm_customer_leaves(play: Play) -> None:
    await warm(play)
    await play.hangs_up("customer-1")
    await play.waits_for("fact.ignored", fact="announcement-end")


async def _blond(play: Play) -> None:
    await play.talks()
    await play.sends("call.transfer", "--mode", "warm", "--target", OTHER)
    await play.sends("transfer.complete")
    await play.answers("target-1")


WARM_PAGE = Page(
    "warm-transfer",
    "Warm transfer",
    """
    The customer is held while the two agents talk; then the customer and the second agent are together. Only the
    command, or the first agent's own departure, completes it.
    """,
    (
        Flow("Complete", "The customer is unheld, then the first agent is taken out.", _complete),
        Flow("Completed by hanging up", "The first agent's departure means the same.", _initiator_leaves),
        Flow("Completed while it rings", "The first agent does not wait for the answer.", _blond),
        Flow("Cancel", "The customer comes back to the first agent.", _cancel),
        Flow(
            "The customer hangs up during the consultation",
            "The two agents hear it said, and may go on talking for `abandoned_consult_s` seconds.",
            _warm_customer_leaves,
        ),
    ),
    (
        Ending("completed", "customer unheld, target in, agent left", "`applied`", "Complete"),
        Ending(
            "completed by leaving", "`participant-leave` of the first agent", "`applied`", "Completed by hanging up"
        ),
        Ending("cancelled", "target gone, customer unheld", "`failed` (`cancelled`)", "Cancel"),
        Ending(
            "the target hangs up",
            "`participant-leave` of the target",
            "`failed`; the customer comes back",
            f"{WARM}test_the_target_hangs_up_in_the_consult",
        ),
        Ending(
            "the target cannot be reached",
            "its call status",
            "`failed` with the reason",
            f"{WARM}test_the_target_cannot_be_reached_and_the_customer_comes_back",
        ),
        Ending(
            "the customer hangs up",
            "`participant-leave` of the customer",
            "`failed` (`abandoned`)",
            "The customer hangs up during the consultation",
        ),
        Ending(
            "the consultation takes too long",
            "the timer consult_limit",
            "alert, merge or cancel, never complete",
            f"{WARM}test_a_consult_has_a_limit_that_never_completes_it",
        ),
    ),
)


async def _swap_merge(play: Play) -> None:
    await warm(play)
    await play.sends("transfer.swap")
    await play.sends("transfer.swap")
    await play.sends("transfer.merge")
    await play.sends("transfer.complete")


async def _consult_only(play: Play) -> None:
    await play.talks()
    await play.sends("call.transfer", "--mode", "consult", "--target", OTHER)
    await play.answers("target-1")
    await play.sends("transfer.complete")
    await play.sends("transfer.cancel")


async def _swap_while_ringing(play: Play) -> None:
    await play.talks()
    await play.sends("call.transfer", "--mode", "warm", "--target", OTHER)
    await play.sends("transfer.swap")
    await play.answers("target-1")
    await play.sends("transfer.swap")
    await play.sends("transfer.complete")


CONSULT_PAGE = Page(
    "consult-swap-merge",
    "Consult, swap, merge",
    """
    Between the two ends of a warm transfer the first agent may change sides: `transfer.swap` puts the customer with
    the agent and the target on hold, and back; `transfer.merge` lets all three talk. `mode: consult` is a talk and
    nothing more: it can be cancelled and swapped, never completed or merged.
    """,
    (
        Flow(
            "Swap twice, merge, complete",
            "Each one is one change at Twilio after the other, each confirmed.",
            _swap_merge,
        ),
        Flow("Swap while it rings", "The target is put on hold when it arrives.", _swap_while_ringing),
        Flow("A consultation only", "`complete` is rejected with what is allowed; `cancel` ends it.", _consult_only),
    ),
    (
        Ending("completed from three-way", "the first agent left", "`applied`", "Swap twice, merge, complete"),
        Ending("completed from swapped", "the first agent left", "`applied`", f"{WARM}test_complete_from_swapped"),
        Ending("consultation over", "`transfer.cancel`", "`failed` (`cancelled`)", "A consultation only"),
        Ending(
            "the target leaves a three-way",
            "`participant-leave` of the target",
            "`failed` (`cancelled`); the talk goes on",
            f"{WARM}test_the_target_leaves_while_the_customer_is_with_the_initiator",
        ),
        Ending(
            "the first agent leaves a three-way",
            "`participant-leave` of the agent",
            "`applied`",
            f"{WARM}test_the_initiator_leaves_a_three_way",
        ),
        Ending(
            "nobody to swap with",
            "cold transfer",
            "`rejected`",
            f"{WARM}test_a_cold_transfer_has_nobody_to_swap_or_merge",
        ),
    ),
)


TRANSFER_PAGES = (COLD_PAGE, WARM_PAGE, CONSULT_PAGE)
