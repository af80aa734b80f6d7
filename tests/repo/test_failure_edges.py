"""Every failure edge that the design asks for has a decided outcome, and a test that is named after it shows it.

The list is in our own words; the order is that of the design. An edge without a test, and a test that is not there or
has no docstring, fails.
"""

import ast
from functools import cache

import pytest

from checkout import ROOT

_E2E = "integration/test_failure_edges.py::"
_CORE = "unit/engine/core/"
_COLD = f"{_CORE}test_cold_transfer.py::"
_WARM = f"{_CORE}test_warm_transfer.py::"

EDGES: dict[str, tuple[str, ...]] = {
    "target busy": (f"{_E2E}test_target_busy", f"{_COLD}test_target_busy_is_seen_from_the_conference_alone"),
    "target no answer": (
        f"{_E2E}test_target_no_answer", f"{_COLD}test_our_own_ring_timer_ends_a_ringing_that_twilio_does_not",
    ),
    "target failed or invalid number": (
        f"{_E2E}test_target_failed_or_invalid_number",
        f"{_COLD}test_an_invalid_number_fails_the_attempt_without_another_try",
    ),
    "target rejects": (
        f"{_E2E}test_target_rejects",
        f"{_CORE}test_tasks.py::test_a_reservation_that_taskrouter_takes_back_stops_the_ringing",
    ),
    "voicemail picks up": (f"{_E2E}test_voicemail_picks_up", f"{_CORE}test_doubts.py::test_a_machine_picks_up"),
    "agent hangs up before target answers": (
        f"{_E2E}test_agent_hangs_up_before_target_answers",
        f"{_WARM}test_the_initiator_hangs_up_before_the_target_answers",
        f"{_COLD}test_the_initiator_hangs_up_while_the_target_rings",
    ),
    "agent hangs up during consult": (
        f"{_E2E}test_agent_hangs_up_during_consult", f"{_WARM}test_the_initiator_hangs_up_during_the_consult",
    ),
    "agent hangs up without a transfer": (
        f"{_E2E}test_agent_hangs_up_without_a_transfer",
        f"{_CORE}test_calls.py::test_the_agent_is_called_back_after_the_grace",
    ),
    "caller hangs up while target rings": (
        f"{_E2E}test_caller_hangs_up_while_target_rings",
        f"{_COLD}test_the_customer_hangs_up_while_the_target_rings",
        f"{_WARM}test_the_customer_hangs_up_while_it_rings",
    ),
    "caller hangs up during consult": (
        f"{_E2E}test_caller_hangs_up_during_consult", f"{_WARM}test_the_customer_hangs_up_in_the_consult",
    ),
    "both hang up at once": (
        f"{_E2E}test_both_hang_up_at_once", f"{_CORE}test_calls.py::test_both_hang_up_at_once",
    ),
    "conference ends unexpectedly": (
        f"{_E2E}test_conference_ends_unexpectedly",
        f"{_COLD}test_the_room_ends_under_a_transfer",
        "integration/test_flows.py::test_a_lost_conference_is_survived",
    ),
    "command in a wrong state": (
        f"{_E2E}test_command_in_a_wrong_state",
        f"{_CORE}test_every_pair.py::test_every_command_in_every_call_state_is_taken_or_rejected_with_what_is_allowed",
    ),
    "command times out": (
        f"{_E2E}test_command_times_out", f"{_CORE}test_holds.py::test_a_hold_that_never_comes_fails",
    ),
    "command repeated": (
        f"{_E2E}test_command_repeated",
        f"{_CORE}test_commands.py::test_a_repeated_command_gets_the_first_result_again",
        "contract/engine/test_refusals.py::test_a_copy_that_finds_the_call_gets_the_first_answer",
    ),
    "late callback after the end": (
        f"{_E2E}test_late_callback_after_the_end", f"{_CORE}test_calls.py::test_late_facts_are_ignored_and_seen",
    ),
    "callback before the rest reply": (
        f"{_E2E}test_callback_before_the_rest_reply",
        f"{_CORE}test_calls.py::test_the_callback_may_overtake_the_answer_of_the_create",
    ),
    "cancel races the answer": (
        f"{_E2E}test_cancel_races_the_answer", f"{_COLD}test_cancel_races_the_answer",
    ),
    "too many requests": (
        f"{_E2E}test_too_many_requests", "unit/actions/test_worker.py::test_429_until_the_deadline_expires",
    ),
    "update of a participant who is not there": (
        f"{_E2E}test_update_of_a_participant_who_is_not_there",
        "contract/actions/test_with_emulator.py::test_an_unknown_participant_cannot_be_changed",
    ),
    "crash in the middle of a command": (
        f"{_E2E}test_crash_in_the_middle_of_a_command",
        "integration/test_main_flow.py::test_a_transfer_survives_a_kill_of_the_engine_on_kafka",
        "unit/actions/test_takeover.py::test_an_intent_without_a_result_is_looked_up_never_repeated",
    ),
    "kafka delivers again": (
        "contract/engine/test_restore.py::test_kafka_delivers_again",
        "unit/actions/test_takeover.py::test_an_interrupted_setter_is_said_again_in_time",
    ),
}  # fmt: skip


@cache
def _tests(path: str) -> dict[str, str | None]:
    """The tests of a file below tests/ and their docstrings."""
    file = ROOT / "tests" / path
    tree = ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if file.is_file() else ()
    return {
        node.name: ast.get_docstring(node) for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def missing(edge: str, shown_by: tuple[str, ...]) -> list[str]:
    """What is wrong with the tests of an edge."""
    if not shown_by:
        return [f"{edge}: no test"]
    named = shown_by[0].rpartition("::")[2]
    wrong = [] if named == "test_" + edge.replace(" ", "_") else [f"{edge}: {named} is not named after it"]
    for test in shown_by:
        path, _, name = test.partition("::")
        if not _tests(path).get(name):
            wrong.append(f"{edge}: {test} is not there, or says no rule")
    return wrong


@pytest.mark.parametrize("edge", EDGES)
def test_every_edge_has_a_test_named_after_it(edge: str) -> None:
    """The first one bears its name; all of them are there and state their rule."""
    assert missing(edge, EDGES[edge]) == []


def test_no_edge_is_forgotten() -> None:
    """The design has twenty-two; every end-to-end test of an edge belongs to one of them."""
    assert len(EDGES) == 22

    shown = {test for tests in EDGES.values() for test in tests}
    edges = {f"{_E2E}{name}" for name in _tests("integration/test_failure_edges.py") if name.startswith("test_")}
    assert edges <= shown


def test_the_check_can_fail() -> None:
    """An edge without a test, with another's, or with one that is not there is found."""
    assert missing("target busy", ()) == ["target busy: no test"]
    assert len(missing("target busy", (f"{_E2E}test_target_rejects",))) == 1
    assert len(missing("target busy", (f"{_E2E}test_nothing_of_the_kind",))) == 2
