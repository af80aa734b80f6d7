"""The flows by which a call begins, waits, is held and ends."""

from flow_pages import Ending, Flow, Page
from flow_pages_browser import BROWSER, CUSTOMER
from flow_play import Play
from stack import AGENT, OTHER

CALLS = "unit/engine/core"
FLOWS = "integration/test_flows.py"


async def _connected(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", AGENT)
    await play.answers("agent-1")


async def _agent_is_busy(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", AGENT)
    await play.declines("agent-1")


async def _caller_gives_up(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", AGENT)
    await play.hangs_up("customer-1")


async def _whispered(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.connect", "--to", AGENT, "--whisper", '{"say": "A caller from Branford"}')
    await play.answers("agent-1")


INBOUND = Page(
    "inbound-wait-connect",
    "A caller waits and is connected",
    """
    Somebody calls a number that leads to Cordboard. The caller waits in a room of their own, with music, until a
    service says whom to ring: that is `call.connect`. It ends well when the agent has joined, not when the phone
    rings.
    """,
    (
        Flow("The agent answers", "The result comes with the agent's join.", _connected),
        Flow("The agent declines", "The caller goes on waiting; the service may ring somebody else.", _agent_is_busy),
        Flow("The caller gives up", "The agent's phone stops ringing at once.", _caller_gives_up),
        Flow(
            "A whisper before the room",
            "The agent is called on their own, hears the text, and then joins by way of Cordboard's TwiML.",
            _whispered,
        ),
    ),
    (
        Ending("connected", "the agent's `participant-join`", "`applied`", "The agent answers"),
        Ending("busy or declined", "call status `busy`", "`failed` (`busy`)", "The agent declines"),
        Ending(
            "the caller hangs up",
            "`participant-leave` of the customer",
            "`failed` (`cancelled`); `call.abandoned`",
            "The caller gives up",
        ),
        Ending(
            "nobody comes in time",
            "the timer max_wait",
            "no command; what `max_wait` of the policy says",
            f"{CALLS}/test_policies.py::test_max_wait_voicemail",
        ),
        Ending(
            "the same command once more",
            "its id is known",
            "the first result again, `replayed`",
            "contract/app/test_command_line.py::test_a_command_sent_twice_is_answered_twice_and_done_once",
        ),
    ),
)

ROUTE = f'["+15550100"]\nroute = ["{AGENT}", "{OTHER}"]\n'


async def _second_answers(play: Play) -> None:
    await play.dials_in()
    await play.declines("agent-1")
    await play.answers("agent-2")


async def _nobody_answers(play: Play) -> None:
    await play.dials_in()
    await play.declines("agent-1")
    await play.declines("agent-2")
    await play.waits_for("call.ended")


ROUTED = Page(
    "inbound-routed",
    "A caller is routed by the policy",
    """
    The policy file names whom a number leads to, so no service and no command is needed. The targets are rung one
    after the other; the first one who answers has the call.
    """,
    (
        Flow("The second one answers", "The first one declines, the second one is rung.", _second_answers, ROUTE),
        Flow(
            "Nobody on the route answers",
            "When `max_wait_s` is over, `max_wait` says what becomes of the caller: here the default, a goodbye.",
            _nobody_answers,
            ROUTE + "max_wait_s = 6\n",
        ),
    ),
    (
        Ending("connected", "an agent's `participant-join`", "no command", "The second one answers"),
        Ending(
            "no target left", "the last attempt failed", "no command; `max_wait` applies", "Nobody on the route answers"
        ),
        Ending(
            "overflow to another target",
            "the timer max_wait",
            "no command",
            f"{CALLS}/test_policies.py::test_max_wait_overflows_to_a_target_then_says_goodbye",
        ),
        Ending(
            "an AI agent on the route",
            "its `participant-join`",
            "no command",
            f"{CALLS}/test_policies.py::test_an_ai_agent_on_the_route_serves_the_caller",
        ),
    ),
)


async def _dialled(play: Play) -> None:
    await play.sends("call.dial", "--agent", "client:anna", "--to", f"phone:{CUSTOMER}")
    await play.answers("agent-1")
    await play.answers("customer-1")


async def _dialled_agent_declines(play: Play) -> None:
    await play.sends("call.dial", "--agent", "client:anna", "--to", f"phone:{CUSTOMER}")
    await play.declines("agent-1")


async def _dialled_customer_busy(play: Play) -> None:
    await play.sends("call.dial", "--agent", "client:anna", "--to", f"phone:{CUSTOMER}")
    await play.answers("agent-1")
    await play.declines("customer-1")


DIAL = Page(
    "dial-by-command",
    "A service has a call made",
    """
    `call.dial` rings an agent, and the customer once the agent is there: nobody answers a phone to find an empty
    room. The command has no call yet; its answer names the new one, derived from the command's id.
    """,
    (
        Flow("Both answer", "The result comes when the customer has joined.", _dialled),
        Flow("The agent declines", "The customer is never dialled.", _dialled_agent_declines),
        Flow("The customer is busy", "The agent learns why and the room is closed.", _dialled_customer_busy),
    ),
    (
        Ending("connected", "the customer's `participant-join`", "`applied`", "Both answer"),
        Ending("no agent", "call status of the agent's leg", "`failed` with its reason", "The agent declines"),
        Ending("unanswered", "call status of the customer's leg", "`failed` with its reason", "The customer is busy"),
        Ending(
            "sent twice",
            "its id is known",
            "the first result again",
            "contract/app/test_command_line.py::test_a_new_call_is_named_by_the_answer",
        ),
    ),
)


async def _held(play: Play) -> None:
    await play.talks()
    await play.sends("call.hold")
    await play.sends("call.resume")


async def _reminded(play: Play) -> None:
    await play.talks()
    await play.sends("call.hold")
    await play.waits_for("hold.reminder")
    await play.sends("call.resume")


async def _held_caller_leaves(play: Play) -> None:
    await play.talks()
    await play.sends("call.hold")
    await play.hangs_up("customer-1")


HOLD = Page(
    "hold-and-resume",
    "Hold and resume",
    """
    The customer hears hold audio and nobody hears the customer. Before the hold Cordboard lets the room outlive the
    customer, because Twilio ignores a change of EndConferenceOnExit while a participant is held; after it, it is set
    again. `applied` comes when Twilio has said that the customer is held.
    """,
    (
        Flow("Hold, then resume", "The end flag first, then the hold, each one confirmed.", _held),
        Flow(
            "A reminder",
            "The held person is told that somebody knows; it comes again and again.",
            _reminded,
            "[defaults]\nhold_reminder_s = 4\n",
        ),
        Flow("The held caller hangs up", "The call ends, and the agent is let go.", _held_caller_leaves),
    ),
    (
        Ending("resumed", "`participant-unhold`", "`applied`", "Hold, then resume"),
        Ending("reminded", "the timer hold_reminder", "no command; `hold.reminder`", "A reminder"),
        Ending("the customer hangs up", "`participant-leave`", "`call.customer_left`", "The held caller hangs up"),
        Ending(
            "held too long",
            "the timer hold_max",
            "no command; what `hold_max` says",
            f"{CALLS}/test_policies.py::test_hold_max_requeues",
        ),
        Ending(
            "held already",
            "the state",
            "`applied`, detail `no_change`",
            f"{CALLS}/test_holds.py::test_a_second_hold_changes_nothing",
        ),
    ),
)


async def _ends(play: Play) -> None:
    await play.talks()
    await play.sends("call.end", "--reason", "solved")


async def _ends_waiting(play: Play) -> None:
    await play.dials_in()
    await play.sends("call.end")


async def _hangs_up(play: Play) -> None:
    await play.talks()
    await play.hangs_up("customer-1")


END = Page(
    "end",
    "A call ends",
    """
    A call ends by command, by the customer, or by the policy once nobody is left to talk to. `call.ended` says why
    and by whom; what comes later is recorded as late and changes nothing.
    """,
    (
        Flow("By command", "The room is ended at Twilio, and that ends the call for everybody in it.", _ends),
        Flow(
            "While the caller waits",
            "A room that has not started cannot be ended: the leg is hung up instead.",
            _ends_waiting,
        ),
        Flow("The customer hangs up", 'The agent is taken out (`customer_left = "end"`).', _hangs_up),
    ),
    (
        Ending("by command", "`participant-leave`, `conference-end`", "`applied`", "By command"),
        Ending("in a room that has not begun", "`participant-leave`", "`applied`", "While the caller waits"),
        Ending(
            "the customer leaves", "`participant-leave`", "no command; `call.customer_left`", "The customer hangs up"
        ),
        Ending(
            "the agents may stay",
            '`customer_left = "keep_agents"`',
            "no command",
            f"{CALLS}/test_policies.py::test_keep_agents_lets_them_stay_until_they_leave",
        ),
        Ending(
            "a command for a call that is over",
            "the state",
            "`rejected`; `call.end` is `applied`, detail `no_change`",
            f"{CALLS}/test_every_pair.py::test_every_command_in_every_call_state_is_taken_or_rejected_with_what_is_allowed",
        ),
        Ending(
            "nobody is left, and no callback said so",
            "the regular look at Twilio",
            "no command; `call.reaped`",
            f"{CALLS}/test_commands.py::test_a_call_that_twilio_no_longer_knows_is_ended_by_a_look",
        ),
    ),
)

CALL_PAGES = (INBOUND, ROUTED, BROWSER, DIAL, HOLD, END)
