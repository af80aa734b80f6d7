"""The policy file: every key checked, and what contradicts itself refused with the reason."""

from pathlib import Path

import pytest

from cordboard.errors import SettingsError
from cordboard.policies import RULES, read_policies
from schemas.policy import DEFAULT_POLICY, Conversation, ConversationFailure, Policies, Policy


def read(tmp_path: Path, text: str) -> Policies:
    """The policies of a file with this text."""
    file = tmp_path / "policy.toml"
    file.write_text(text)
    return read_policies(file)


def refusal(tmp_path: Path, text: str) -> str:
    """What is said about a file with this text."""
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)
    return str(refused.value)


def test_the_keys_are_those_of_a_policy() -> None:
    """There is a rule for every field of `Policy`, and none besides."""
    assert list(RULES) == list(Policy.__struct_fields__)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """Nothing said means nothing changed."""
    assert read(tmp_path, "") == Policies()


def test_every_default_may_be_written_down(tmp_path: Path) -> None:
    """A key at its default is accepted whether its behaviour is there yet or not."""
    text = """[defaults]
route = "wait"
max_wait_s = 300
max_wait = "announce_end"
ring_timeout_s = 20
hold_reminder_s = 0
hold_max_s = 0
orphan = ["recall", "announce_end"]
orphan_grace_s = 30
consult_limit_s = 0
abandoned_consult_s = 30
customer_left = "end"
wrap_up_s = 0
machine = "off"
recording = "off"
max_pause_s = 120
supervision = { monitor = ["*"], coach = ["*"], barge = ["*"] }
"""
    assert read(tmp_path, text).defaults == DEFAULT_POLICY


def test_a_number_overrides_the_defaults_of_the_file(tmp_path: Path) -> None:
    """What a number's table leaves out comes from `[defaults]`, what that leaves out from the built-in defaults."""
    policies = read(
        tmp_path,
        '[defaults]\nmax_wait_s = 60\nwrap_up_s = 5\n["+15550100"]\nroute = ["client:alice", "phone:+15550122"]\n'
        'wrap_up_s = 9\nmachine = "hang_up"\nwait_audio = "https://example.com/a.mp3"\n',
    )

    own = policies.of("+15550100")
    assert own.route == ("client:alice", "phone:+15550122")
    assert (own.max_wait_s, own.wrap_up_s, own.machine) == (60, 9, "hang_up")
    assert own.wait_audio == "https://example.com/a.mp3"
    assert policies.of("+15550199") == Policy(max_wait_s=60, wrap_up_s=5)


def test_a_single_target_is_a_route(tmp_path: Path) -> None:
    """One target needs no list."""
    assert read(tmp_path, '[defaults]\nroute = "client:alice"\n').defaults.route == ("client:alice",)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("colour = 1", "colour = 1 is unknown: allowed are route,"),
        ('max_wait_s = "long"', 'max_wait_s = "long": allowed is whole seconds, 0 to 86400'),
        ("max_wait_s = true", "max_wait_s = True: allowed is whole seconds"),
        ("ring_timeout_s = 0", "ring_timeout_s = 0: allowed is whole seconds, 5 to 600"),
        ('route = "alice"', 'allowed is "wait", a list of targets'),
        ("route = []", 'allowed is "wait", a list of targets'),
        ('route = ["client:a", "queue:b"]', 'allowed is "wait", a list of targets'),
        ('orphan = ["forget"]', "allowed is a list of"),
        ('orphan = ["announce_end", "recall"]', 'nothing comes after "announce_end"'),
        ('orphan = ["recall", "recall"]', "names one twice"),
        ('customer_left = "stay"', 'allowed is "end" or "keep_agents"'),
        ('hold_audio = "music"', "allowed is an http(s) URL"),
        ('hold_max = "resume"', "hold_max_s is 0"),
        ("supervision = { listen = [] }", "allowed is { monitor"),
    ],
)
def test_what_is_not_allowed_is_told_with_key_value_and_what_is(tmp_path: Path, line: str, told: str) -> None:
    """A bad key, value or contradiction stops the start."""
    message = refusal(tmp_path, f"[defaults]\n{line}\n")

    assert "[defaults]" in message
    assert told in message


SERVICE = "conversation:IS" + "0" * 32


def test_a_conversation_and_its_attributes(tmp_path: Path) -> None:
    """What is not named has Twilio's default; failures that are not named lead to `default`."""
    policies = read(
        tmp_path,
        f'["+15550100"]\nroute = "{SERVICE}"\n["+15550100".conversation]\nrecord = true\ninbound_timeout_s = 20\n'
        'on_failure = { busy = "wait" }\n',
    )

    own = policies.of("+15550100")
    assert own.service_sid == "IS" + "0" * 32
    assert own.conversation == Conversation(
        record=True, inbound_timeout_s=20, on_failure=ConversationFailure(busy="wait")
    )
    assert policies.of("+15550101").service_sid is None


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('hold_max = "resume"', "hold_max_s is 0"),
        ('consult_limit = "merge"', "consult_limit_s is 0"),
        ('max_wait_s = 0\nmax_wait = "voicemail"', "max_wait_s is 0"),
        ("hold_max_s = 30\nhold_reminder_s = 30", "hold_max_s is 30; allowed is less than that"),
        ('orphan = ["announce_end", "recall"]', 'nothing comes after "announce_end"'),
        ('orphan = ["voicemail", "recall"]', 'nothing comes after "voicemail"'),
        ('orphan = ["recall", "recall"]', "names one twice"),
        ('machine_message = { say = "Hello" }', 'machine is "off"; allowed is with machine = "voicemail_message"'),
        ('route = "wait"\nconversation = { record = true }', 'allowed is with route = "conversation:IS…"'),
        (f'route = "{SERVICE}"\nrecording = "from_start"', "a conversation has no room"),
        (f'route = "{SERVICE}"\nconversation = {{ trim = "trim-silence" }}', "never matter: record is"),
        (
            f'route = "{SERVICE}"\nconversation = {{ inbound_autocreation = false, routing_assignment_timeout_s = 9 }}',
            "routing_assignment_timeout_s never happens: inbound_autocreation is false",
        ),
    ],
)
@pytest.mark.parametrize("table", ["defaults", '"+15550100"'])
def test_a_policy_that_contradicts_itself_is_refused(tmp_path: Path, table: str, lines: str, told: str) -> None:
    """With the key, the reason and what is allowed, in whichever table it stands."""
    message = refusal(tmp_path, f"[{table}]\n{lines}\n")

    assert f"[{table}] " in message
    assert told in message
    assert "allowed is" in message


def test_what_the_defaults_share_may_be_meant_for_some_numbers(tmp_path: Path) -> None:
    """The attributes of a conversation may stand once for all numbers that lead to one."""
    policies = read(tmp_path, f'[defaults]\nconversation = {{ record = true }}\n["+15550100"]\nroute = "{SERVICE}"\n')

    assert policies.of("+15550100").conversation.recorded


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('{ record = "always" }', "Invalid enum value"),
        ("{ inbound_timeout_s = 0 }", "Expected `int` >= 1"),
        ('{ on_failure = { busy = "voicemail", engaged = "wait" } }', "unknown field `engaged`"),
        ('{ status_events = ["answered"] }', "status_events"),
        ('{ method = "PUT" }', "method"),
        ('"IS1"', "Expected `object`"),
    ],
)
def test_a_bad_attribute_is_told_with_its_place(tmp_path: Path, value: str, told: str) -> None:
    """The message names the attribute, what was wrong with it, and all that there are."""
    message = refusal(tmp_path, f'["+15550100"]\nroute = "{SERVICE}"\nconversation = {value}\n')

    assert told in message
    assert "allowed is { inbound_autocreation = …, routing_assignment_timeout_s = …" in message


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """One message for the whole file."""
    message = refusal(tmp_path, '[defaults]\nroute = 1\n["+15550100"]\nmachine = 2\n[sales]\nroute = "wait"\n')

    assert "[defaults] route = 1" in message
    assert '["+15550100"] machine = 2' in message
    assert "[sales] is no table of this file" in message


def test_a_caller_in_taskrouters_queue_cannot_be_rung_to_a_target(tmp_path: Path) -> None:
    """The caller is in no room: only what can be heard outside one is a way out, whichever table names it."""
    text = refusal(tmp_path, '[defaults]\nmax_wait = "phone:+15550155"\n["+15550100"]\nroute = "enqueue:billing"\n')

    assert '["+15550100"] max_wait = "phone:+15550155" cannot be rung' in text
    assert read(tmp_path, '[defaults]\nroute = "enqueue:billing"\nmax_wait = "voicemail"\n').defaults.route == (
        "enqueue:billing",
    )


@pytest.mark.parametrize("route", ['["enqueue:billing", "phone:+15550155"]', '"enqueue:"', '"enqueue:two words"'])
def test_a_queue_of_taskrouter_stands_alone_and_has_a_name(tmp_path: Path, route: str) -> None:
    """Said with what is allowed."""
    assert '"enqueue:NAME"' in refusal(tmp_path, f"[defaults]\nroute = {route}\n")
