"""The command line against all of Cordboard, as contracts.md section 2 promises it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cordboard.app.cli import cli
from free_ports import free_ports
from house import AGENT, OTHER, House
from schemas.commands import COMMANDS
from schemas.topics import Topic

Cordboard = Callable[..., Result]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One running Cordboard for this file; each test has calls of its own."""
    with House(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture
def cordboard(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cordboard:
    """Type a command line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["--ops", house.ops, *arguments], catch_exceptions=False)

    return run


def lines(result: Result) -> list[dict[str, object]]:
    """What `--json` printed: one document a line."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_call_is_steered_and_its_story_told(house: House, cordboard: Cordboard) -> None:
    """Connect, hold, resume, transfer, end: each prints its result, and the timeline has the causes."""
    call = house.call()

    for arguments in (
        ("call.connect", "--to", AGENT),
        ("call.hold",),
        ("call.resume",),
        ("call.transfer", "--mode", "cold", "--target", OTHER),
        ("call.end",),
    ):
        result = cordboard("send", arguments[0], "--call", call, *arguments[1:])
        assert (result.exit_code, result.stdout.splitlines()[0]) == (0, f"{arguments[0]} applied"), result.output

    story = cordboard("call", call).stdout
    assert f"{call}  ended" in story
    assert "transfer.completed" in story
    assert "⟵ command call.hold" not in story.split("call.held")[1].splitlines()[0]  # a hold is a fact of Twilio's
    assert "⟵ command call.transfer" in story
    assert "⟵ incoming call" in story


def test_a_refused_command_is_an_error_with_its_reason(house: House, cordboard: Cordboard) -> None:
    """Exit code 1; reason, state and what is allowed instead go to stderr."""
    call = house.call()

    result = cordboard("send", "call.resume", "--call", call, "--leg", "agent-9")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("call.resume rejected: ")
    assert "state: waiting" in result.stderr
    assert "allowed now: " in result.stderr


def test_a_command_for_nobody_is_rejected(cordboard: Cordboard) -> None:
    """An unknown call is told as such."""
    result = cordboard("send", "call.hold", "--call", "CA" + "9" * 32)

    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "call.hold rejected: unknown_call")


def test_a_command_sent_twice_is_answered_twice_and_done_once(house: House, cordboard: Cordboard) -> None:
    """The same id gets the first result again, marked as such."""
    call = house.call()
    first, second = (
        cordboard("send", "call.connect", "--call", call, "--to", AGENT, "--id", "once", "--json") for _ in range(2)
    )

    [one], [two] = lines(first), lines(second)
    assert one["id"] == two["id"]
    legs = lines(cordboard("events", "--call", call, "--type", "leg.planned", "--json"))
    assert len(legs) == 1


def test_without_waiting_a_command_is_only_taken(house: House, cordboard: Cordboard) -> None:
    """`--wait 0` prints the id and the call."""
    call = house.call()

    result = cordboard("send", "call.end", "--call", call, "--wait", "0", "--id", "bye")

    assert (result.exit_code, result.stdout) == (0, f"call.end taken as bye for call {call}\n")
    house.until(call, "ended")


def test_a_new_call_is_named_by_the_answer(cordboard: Cordboard) -> None:
    """`call.dial` has no subject; the 202 and the result name the call."""
    [taken] = lines(cordboard("send", "call.dial", "--agent", AGENT, "--to", OTHER, "--wait", "0", "--json"))

    assert str(taken["call_id"]).startswith("dial-")


def test_calls_are_listed(house: House, cordboard: Cordboard) -> None:
    """Live ones by default, by state, as a table or as documents."""
    live, over = house.call(), house.call()
    assert cordboard("send", "call.end", "--call", over).exit_code == 0

    assert live in cordboard("calls").stdout
    assert over not in cordboard("calls").stdout
    assert over in cordboard("calls", "--all").stdout
    assert over in cordboard("calls", "--state", "ended").stdout
    assert live in [call["call_id"] for call in lines(cordboard("calls", "--state", "waiting", "--json"))]
    assert len(lines(cordboard("calls", "--all", "--limit", "1", "--json"))) == 1
    assert cordboard("calls", "--state", "orphaned").stdout == "no calls\n"


def test_one_call_as_documents(house: House, cordboard: Cordboard) -> None:
    """`call --json` is the state, then one CloudEvent a line."""
    call = house.call()

    state, *events = lines(cordboard("call", call, "--json"))

    assert (state["call_id"], state["state"]) == (call, "waiting")
    assert events[0]["type"] == "cordboard.event.call.created.v1"
    assert {event["subject"] for event in events} == {call}


def test_a_call_that_was_never_there(cordboard: Cordboard) -> None:
    """Exit code 1 and words for it."""
    result = cordboard("call", "CA" + "8" * 32)

    assert result.exit_code == 1
    assert "nothing is known of" in result.stderr


def test_a_refused_command_is_all_that_is_known_of_a_call_that_never_began(cordboard: Cordboard) -> None:
    """A typing mistake in the id is not told as a call that ended long ago."""
    never = "CA" + "9" * 32
    assert cordboard("send", "call.hold", "--call", never).exit_code == 1

    told = cordboard("call", never).stdout

    assert "it never began here" in told
    assert "unknown_call" in told


def test_no_events_are_said(cordboard: Cordboard) -> None:
    """A filter that fits nothing is told apart from a command that did nothing; documents stay documents."""
    assert cordboard("events", "--call", "CA" + "7" * 32).stdout == "no events\n"
    assert cordboard("events", "--call", "CA" + "7" * 32, "--json").stdout == ""


def test_the_help_of_send_names_every_command_and_its_fields(cordboard: Cordboard) -> None:
    """Nobody has to look up what can be sent."""
    told = cordboard("send", "--help").stdout.splitlines()

    assert [name for name in COMMANDS if not any(line.split()[:1] == [name] for line in told)] == []
    assert any(line.strip().startswith("call.connect --to [--from] [--ring-timeout-s]") for line in told)


def test_an_address_that_is_taken_is_told_without_a_trace(house: House, cordboard: Cordboard) -> None:
    """Exit code 1, where it was to listen, and how to choose another."""
    result = cordboard("emulator", "--bind", house.emulator.removeprefix("http://"))

    assert result.exit_code == 1
    assert "address already in use" in result.stderr.lower()
    assert "--bind HOST:PORT" in result.stderr


def test_events_are_printed_to_the_end_of_the_log(house: House, cordboard: Cordboard) -> None:
    """Without `--follow` the command ends by itself; filters leave out the rest."""
    call = house.call()

    everything = cordboard("events").stdout
    created = cordboard("events", "--call", call, "--type", "call.created")

    assert call in everything
    assert len(created.stdout.splitlines()) == 1
    assert "call.created" in created.stdout


def test_dead_letters_are_listed_shown_and_put_back(house: House, cordboard: Cordboard) -> None:
    """What an operator does with a record that could not be read."""
    assert cordboard("dead-letters", "list").stdout == "no dead letters\n"
    house.dead_letter("cmd-1", b'{"id": "cmd-1", "no": "CloudEvent"}', Topic.COMMANDS)

    [letter] = lines(cordboard("dead-letters", "list", "--json"))
    letter_id = str(letter["id"])
    shown = cordboard("dead-letters", "show", letter_id).stdout
    back = cordboard("dead-letters", "redrive", letter_id)

    assert letter_id in cordboard("dead-letters", "list").stdout
    assert '"no": "CloudEvent"' in shown
    assert back.stdout == f"{letter_id} is back in call.commands as redrive.{letter_id}.cmd-1\n"
    assert cordboard("dead-letters", "redrive", "0-999").exit_code == 1


def test_a_caller_of_the_local_twilio(house: House, cordboard: Cordboard) -> None:
    """`emulator call` places a call, tells what the caller lives through, and hangs up in time."""
    result = cordboard(
        "emulator", "call", "--from", "+15550111", "--to", "+15550100", "--for", "1", "--emulator", house.emulator
    )

    assert result.exit_code == 0
    assert "you are in the conference" in result.stdout
    assert "the call is over" in result.stdout


def test_no_emulator_is_said(cordboard: Cordboard) -> None:
    """Exit code 1 and what to start."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    result = cordboard("emulator", "call", "--from", "+15550111", "--to", "+15550100", "--emulator", url)

    assert result.exit_code == 1
    assert "cordboard emulator" in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("send", "call.hold"), "needs --call ID"),
        (("send", "call.dial", "--call", "CA1"), "leave --call out"),
        (("send", "call.hold", "--call", "not a call"), "cannot be a call id"),
        (("send", "call.holt", "--call", "CA1"), "did you mean call.hold"),
        (("send", "call.hold", "--call", "CA1", "--colour", "red"), "its fields: --leg, --audio"),
        (("send", "call.hold", "--call", "CA1", "--data", "{"), "--data is not JSON"),
        (("calls", "--state", "busy"), "is not one of"),
        (("dead-letters", "redrive"), "Missing argument"),
        (("send", "call.connect", "--call", "CA1", "--to", "15550122"), "Expected phone:+E164"),
        (("emulator", "call", "--from", "+1"), "--to NUMBER"),
        (("emulator", "--bind", "8090"), "expected HOST:PORT, such as 127.0.0.1:8090"),
        (("emulator", "--bind", "here"), "expected HOST:PORT, such as 127.0.0.1:8090"),
        (("run", "--local-twilio", "--emulator-bind", ":8090"), "expected HOST:PORT"),
        (("nonsense",), "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2(cordboard: Cordboard, arguments: tuple[str, ...], told: str) -> None:
    """What can be seen to be wrong is told before anything is asked."""
    result = cordboard(*arguments)

    assert result.exit_code == 2
    assert told in result.stderr


def test_nobody_listening_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection names the address and the way to start."""
    monkeypatch.chdir(tmp_path)
    [port] = free_ports(1)
    monkeypatch.setenv("CORDBOARD_OPS_BIND", f"127.0.0.1:{port}")

    result = CliRunner().invoke(cli, ["calls"])

    assert result.exit_code == 1
    assert f"nobody listens on http://127.0.0.1:{port}" in result.stderr
    assert "cordboard run --local-twilio" in result.stderr


def test_the_token_of_the_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings as the services', so the same token; another one is refused."""
    monkeypatch.chdir(tmp_path)
    with House(tmp_path, token="right") as guarded:
        monkeypatch.setenv("CORDBOARD_OPS_BIND", guarded.ops.removeprefix("http://"))
        monkeypatch.setenv("CORDBOARD_OPS_TOKEN", "wrong")
        refused = CliRunner().invoke(cli, ["calls"])
        monkeypatch.setenv("CORDBOARD_OPS_TOKEN", "right")
        taken = CliRunner().invoke(cli, ["calls"])

    assert refused.exit_code == 1
    assert "CORDBOARD_OPS_TOKEN" in refused.stderr
    assert "wrong" not in refused.stderr
    assert (taken.exit_code, taken.stdout) == (0, "no calls\n")


def test_topics_are_checked(cordboard: Cordboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`topics ensure` names every topic; on the journal they are always there."""
    monkeypatch.setenv("CORDBOARD_LOG", f"sqlite:{tmp_path / 'other.db'}")

    found = lines(cordboard("topics", "ensure", "--json"))

    assert {one["topic"] for one in found} == {topic.value for topic in Topic}


def test_schemas_are_listed_printed_and_written(cordboard: Cordboard, tmp_path: Path) -> None:
    """`schemas` lists the contracts, prints one, writes all."""
    names = cordboard("schemas").stdout.split()

    assert "asyncapi.json" in names
    assert json.loads(cordboard("schemas", "asyncapi.json").stdout)["asyncapi"].startswith("3.")
    assert cordboard("schemas", "--out", str(tmp_path / "out")).exit_code == 0
    assert all((tmp_path / "out" / name).is_file() for name in names)
    assert cordboard("schemas", "nothing.json").exit_code == 1
