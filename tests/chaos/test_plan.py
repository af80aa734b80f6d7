"""A chaos run is planned by its seed, told by words, and reported by itself."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from chaos.centre import draw_workers
from chaos.evidence import Facts
from chaos.figures import Figures
from chaos.options import Options, UsageError, read_options
from chaos.plan import QUEUE_NUMBER, SERVICE_NUMBER, SERVICES, Blow, Part, draw_call, draw_faults
from chaos.report import write
from chaos.running import Done
from chaos.said import read_said
from chaos.takeover import TakeOvers
from chaos.twilio import WorldSeen
from checker.judging import Violation
from emulator.people import Answer
from schemas.commands import COMMANDS, SupervisionMode, TransferMode


def test_a_seed_is_the_same_plan_every_time() -> None:
    """And another seed is another one."""
    assert draw_faults(Options(seed=3)) == draw_faults(Options(seed=3)) != draw_faults(Options(seed=4))
    assert draw_call(3, 17) == draw_call(3, 17) != draw_call(4, 17)


def test_a_plan_has_everything_that_was_promised() -> None:
    """Sixty kills of every part, stops, cuts, delays and rolling restarts, in order and within the load."""
    faults = draw_faults(Options(kills=60, brokers=3))
    kinds = Counter(fault.blow for fault in faults)

    assert kinds == {Blow.KILL: 60, Blow.STOP: 20, Blow.CUT: 10, Blow.DELAY: 10, Blow.ROLL: 4}
    killed = {fault.part for fault in faults if fault.blow is Blow.KILL}
    assert killed == {Part.ENGINE, Part.ACTIONS, Part.INGRESS, Part.BROKER}
    assert {fault.which for fault in faults if fault.part is Part.BROKER} == {0, 1, 2}
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 < fault.at < 1 for fault in faults)


def test_processes_that_are_everything_are_hit_as_one() -> None:
    """The same plan, but whichever service a blow was meant for, it hits the process that is all of them."""
    apart, together = draw_faults(Options(kills=60)), draw_faults(Options(kills=60, together=True))
    assert [fault.blow for fault in together] == [fault.blow for fault in apart]
    assert {fault.part for fault in together} == {fault.part for fault in apart} - set(SERVICES) | {Part.EVERYTHING}


def test_calls_differ() -> None:
    """Callers have numbers of their own; some stay, some are impatient, some are ended by command."""
    calls = [draw_call(1, number) for number in range(200)]

    assert len({call.caller for call in calls}) == 200
    assert {call.ends_by_command for call in calls} == {True, False}
    assert sum(call.stays for call in calls) == 3
    assert any(call.impatient_s for call in calls if call.said)
    assert sum(call.number == SERVICE_NUMBER for call in calls) == 20


def test_every_kind_of_command_is_in_the_load() -> None:
    """Whatever steers a call in progress is said while things go wrong."""
    every = [one for number in range(400) for one in draw_call(1, number).said]
    said = {(one.name, one.data.get("mode")) for one in every}
    targets = {one.data["targets"][0].partition(":")[0] for one in every if "targets" in one.data}

    assert {name for name, _ in said} == set(COMMANDS) - {"call.dial", "call.end"}
    assert {mode for name, mode in said if name == "call.transfer"} == set(TransferMode)
    assert targets == {"phone", "client", "queue"}
    assert {mode for name, mode in said if name.startswith(("call.supervise", "supervision.switch"))} >= {
        mode.value for mode in SupervisionMode
    }


def test_callers_wait_in_taskrouters_queue() -> None:
    """One in ten: nobody is connected to them by command, some give up, one is still there when all has healed."""
    calls = [call for call in (draw_call(1, number) for number in range(400)) if call.number == QUEUE_NUMBER]

    assert len(calls) == 40
    assert "call.connect" not in {said.name for call in calls for said in call.said}
    assert {said.name for call in calls for said in call.said} >= {
        "call.hold",
        "call.mute",
        "call.transfer",
        "call.add",
    }
    assert {call.hangs_up_only for call in calls} == {call.ends_by_command for call in calls} == {True, False}
    assert sum(call.stays and not call.hangs_up_only for call in calls) == 1


def test_agents_call_out() -> None:
    """One in ten: by their browser, each another customer; what is commanded is the same."""
    calls = [call for call in (draw_call(1, number) for number in range(400)) if call.is_browser]

    assert len(calls) == len({call.number for call in calls}) == 40
    assert "call.connect" not in {said.name for call in calls for said in call.said}
    assert not any(call.hangs_up_only for call in calls)


def test_workers_differ() -> None:
    """By the seed; most pick up, and not all do."""
    workers = draw_workers(1)
    answers = Counter(worker.person.answer for worker in workers.values())

    assert workers == draw_workers(1) != draw_workers(2)
    assert len({worker.contact_uri for worker in workers.values()}) == len(workers)
    assert answers[Answer.ANSWERS] > len(workers) / 2
    assert set(answers) == {Answer.ANSWERS, Answer.BUSY, Answer.REJECTS, Answer.NO_ANSWER}


def test_options_are_words_of_make() -> None:
    """Empty ones keep their default, so that make may pass them all."""
    assert read_options(["WEBHOOKS=500", "KILLS=", "BROKERS=3", "SEED=9"]) == Options(webhooks=500, brokers=3, seed=9)
    assert read_options(["REPORT="]).report == ""


@pytest.mark.parametrize("word", ["WEBHOOK=1", "fast", "KILLS=many", "BROKERS=2", "WEBHOOKS=0", "KILLS=-1", "RATE=0"])
def test_a_wrong_word_is_refused(word: str) -> None:
    """The message says what was wrong."""
    with pytest.raises(UsageError, match=r"WEBHOOKS|BROKERS|int"):
        read_options([word])


def _done(brokers: int) -> Done:
    facts = Facts(folder=Path(), partitions=8, world=WorldSeen(0, (), {}, 0), said=read_said(()))
    return Done(
        options=Options(brokers=brokers), facts=facts, takeovers=TakeOvers((9.5, 10.5), (0.2, 0.3)), load_began=0.0,
        load_ended=60.0, begun=12, commit="0123abcd", lost_calls=0, blows={"kill -9 engine": 3}, healed_in_s=2.0,
    )  # fmt: skip


def test_a_run_replaces_its_own_section(tmp_path: Path) -> None:
    """The section about the other number of brokers stays as it was."""
    page = tmp_path / "report.md"
    write(page, _done(3), Figures(acknowledged=333), [])
    three = page.read_text().partition("## Three brokers")[2]
    write(page, _done(1), Figures(acknowledged=111), [])
    answers = Counter({("call.hold", "applied"): 1_200, ("call.hold", "rejected"): 34, ("call.end", "failed"): 5})
    write(page, _done(1), Figures(acknowledged=222, answers=answers), [])
    text = page.read_text()

    assert text.count("## One broker") == text.count("## Three brokers") == 1
    assert text.partition("## Three brokers")[2] == three
    assert "222 webhooks acknowledged" in text
    assert "| `call.end` | 5, 0 |\n| `call.hold` | 1,234, 1,200 |" in text
    assert "111 webhooks" not in text
    assert "median 10.00, worst 10.50 of 2" in text


def test_what_was_broken_stands_on_the_page(tmp_path: Path) -> None:
    """A bad run is reported as one, with what objected."""
    write(tmp_path / "report.md", _done(1), Figures(lost=1), [Violation("i01_acknowledged_is_kept", "this one")])
    text = (tmp_path / "report.md").read_text()

    assert "Every invariant held" not in text
    assert "- `i01_acknowledged_is_kept`: this one" in text


def test_a_plan_without_kills_has_no_faults() -> None:
    """Load alone is a run too."""
    assert draw_faults(replace(Options(), kills=0)) == ()
