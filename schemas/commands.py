"""What other services may ask for (contracts.md section 4). One struct per command; readers take unknown fields.

`COMMANDS` is the catalogue: short name (`call.hold`) to data. A CloudEvent's `type` is `cordboard.command.NAME.v1`.
"""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, field

from schemas.mistakes import in_words
from schemas.prompts import AudioUrl, Prompt, SayText, checked_url
from schemas.targets import TargetText

TYPE_PREFIX = "cordboard.command."
TYPE_SUFFIX = ".v1"

Seconds = Annotated[int, Meta(ge=5, le=600)]
Minutes = Annotated[int, Meta(ge=1, le=86_400)]
LegName = Annotated[
    str,
    Meta(
        pattern=r"^(customer|agent|target|supervisor|ai|third)(-[1-9][0-9]{0,5})?\Z",
        description="leg id (`agent-1`), or a role where only one live leg has it",
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Context = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=1024)]],
    Meta(max_length=64),  # a call carries it in every state record, which has a size to keep to
]


class TransferMode(StrEnum):
    """How the parties meet: not at all (cold), target and initiator first (warm), or only those two (consult)."""

    COLD = "cold"
    WARM = "warm"
    CONSULT = "consult"


class Release(StrEnum):
    """When a cold transfer lets the initiator go."""

    NOW = "now"
    ON_RING = "on_ring"
    ON_ANSWER = "on_answer"


class Disposition(StrEnum):
    """What becomes of the customer when no target could be reached."""

    RETURN = "return"
    RECALL = "recall"
    REQUEUE = "requeue"
    VOICEMAIL = "voicemail"
    ANNOUNCE_END = "announce_end"


class SupervisionMode(StrEnum):
    """Monitor hears all, coach is heard by the agent only, barge is heard by all."""

    MONITOR = "monitor"
    COACH = "coach"
    BARGE = "barge"


class AddedRole(StrEnum):
    """Roles that `call.add` may give."""

    AGENT = "agent"
    THIRD = "third"
    AI = "ai"


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all command data."""


class Dial(_Data, frozen=True, omit_defaults=True):
    """`call.dial`: start an outbound call, the agent first, then the customer. The answer names the call."""

    agent: TargetText
    to: TargetText
    from_: TargetText | None = field(default=None, name="from")
    context: Context | None = None


class Connect(_Data, frozen=True, omit_defaults=True):
    """`call.connect`: bring an agent into the call."""

    to: TargetText
    from_: TargetText | None = field(default=None, name="from")
    ring_timeout_s: Seconds | None = None
    whisper: Prompt | None = None


class Hold(_Data, frozen=True, omit_defaults=True):
    """`call.hold`: the leg (else the customer) hears hold audio and nobody hears it. Held already, it keeps its own."""

    leg: LegName = "customer"
    audio: AudioUrl | None = None

    def __post_init__(self) -> None:
        """Refuse audio that is not a URL."""
        if self.audio is not None:
            checked_url(self.audio, "audio")


class Resume(_Data, frozen=True, omit_defaults=True):
    """`call.resume`: end a hold."""

    leg: LegName = "customer"


class Mute(_Data, frozen=True, omit_defaults=True):
    """`call.mute`: nobody hears the leg; it hears everybody."""

    leg: LegName


class Unmute(_Data, frozen=True, omit_defaults=True):
    """`call.unmute`."""

    leg: LegName


class OnFailure(_Data, frozen=True, omit_defaults=True):
    """What to do per reason when a transfer fails; `default` for the reasons not named."""

    busy: Disposition | None = None
    no_answer: Disposition | None = None
    failed: Disposition | None = None
    rejected: Disposition | None = None
    machine: Disposition | None = None
    default: Disposition | None = None


class Transfer(_Data, frozen=True, omit_defaults=True):
    """`call.transfer`: hand the customer over, or consult."""

    mode: TransferMode
    targets: Annotated[list[TargetText], Meta(min_length=1, max_length=20)]
    initiator: LegName | None = None
    ring_timeout_s: Seconds | None = None
    consult_limit_s: Minutes | None = None
    release: Release = Release.ON_ANSWER
    on_failure: OnFailure | None = None
    context: Context | None = None


class SteerTransfer(_Data, frozen=True, omit_defaults=True):
    """`transfer.complete`, `.cancel`, `.swap`, `.merge`: the active transfer, or the one named."""

    transfer: Text | None = None


class Supervise(_Data, frozen=True, omit_defaults=True):
    """`call.supervise`: a supervisor joins, muted first."""

    mode: SupervisionMode
    supervisor: TargetText
    coach: LegName | None = None


class SwitchSupervision(_Data, frozen=True, omit_defaults=True):
    """`supervision.switch`."""

    supervisor: LegName
    mode: SupervisionMode
    coach: LegName | None = None


class SteerSupervision(_Data, frozen=True, omit_defaults=True):
    """`supervision.leave`, `supervision.takeover`."""

    supervisor: LegName


class Add(_Data, frozen=True, omit_defaults=True):
    """`call.add`: bring in anybody else. Without a role: `ai` for an `app:` target, `third` for the rest."""

    to: TargetText
    role: AddedRole | None = None
    from_: TargetText | None = field(default=None, name="from")
    ring_timeout_s: Seconds | None = None


class Remove(_Data, frozen=True, omit_defaults=True):
    """`call.remove`: take a leg out of the room."""

    leg: LegName


class Announce(_Data, frozen=True, omit_defaults=True):
    """`call.announce`: the leg, or all, hear a text or an audio file."""

    leg: LegName | None = None
    play: AudioUrl | None = None
    say: SayText | None = None

    def __post_init__(self) -> None:
        """Exactly one of `play` and `say`."""
        Prompt(say=self.say, play=self.play)


class StartRecording(_Data, frozen=True, omit_defaults=True):
    """`recording.start`: records the customer's leg, two channels."""

    max_pause_s: Minutes | None = None


class PauseRecording(_Data, frozen=True, omit_defaults=True):
    """`recording.pause`: ends by itself after `max_pause_s`."""

    max_pause_s: Minutes | None = None


class SteerRecording(_Data, frozen=True, omit_defaults=True):
    """`recording.resume`, `recording.stop`."""


class End(_Data, frozen=True, omit_defaults=True):
    """`call.end`: end the room, or hang up the legs where it has not started."""

    reason: Text | None = None


CommandData = (
    Dial | Connect | Hold | Resume | Mute | Unmute | Transfer | SteerTransfer | Supervise | SwitchSupervision
    | SteerSupervision | Add | Remove | Announce | StartRecording | PauseRecording | SteerRecording | End
)  # fmt: skip

COMMANDS: dict[str, type[CommandData]] = {
    "call.dial": Dial,
    "call.connect": Connect,
    "call.hold": Hold,
    "call.resume": Resume,
    "call.mute": Mute,
    "call.unmute": Unmute,
    "call.transfer": Transfer,
    "transfer.complete": SteerTransfer,
    "transfer.cancel": SteerTransfer,
    "transfer.swap": SteerTransfer,
    "transfer.merge": SteerTransfer,
    "call.supervise": Supervise,
    "supervision.switch": SwitchSupervision,
    "supervision.leave": SteerSupervision,
    "supervision.takeover": SteerSupervision,
    "call.add": Add,
    "call.remove": Remove,
    "call.announce": Announce,
    "recording.start": StartRecording,
    "recording.pause": PauseRecording,
    "recording.resume": SteerRecording,
    "recording.stop": SteerRecording,
    "call.end": End,
}

_decoders = {name: msgspec.json.Decoder(data) for name, data in COMMANDS.items()}


class InvalidCommandError(ValueError):
    """A command of unknown type or with bad data; the message says what was expected."""


def type_of(name: str) -> str:
    """The CloudEvent type of a command's short name."""
    return f"{TYPE_PREFIX}{name}{TYPE_SUFFIX}"


def name_of(event_type: str) -> str | None:
    """The short name behind a CloudEvent type, or None when it is no command of ours."""
    if not (event_type.startswith(TYPE_PREFIX) and event_type.endswith(TYPE_SUFFIX)):
        return None
    name = event_type[len(TYPE_PREFIX) : -len(TYPE_SUFFIX)]
    return name if name in COMMANDS else None


def decode_data(name: str, data: bytes | msgspec.Raw) -> CommandData:
    """A command's data by its short name; absent data (`null`) counts as `{}`. Raises `InvalidCommandError`."""
    body = bytes(data)
    try:
        return _decoders[name].decode(b"{}" if body in {b"null", b""} else body)
    except KeyError:
        message = f"unknown command {name[:60]!r}: expected one of {', '.join(COMMANDS)}"
        raise InvalidCommandError(message) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidCommandError(in_words(COMMANDS[name], str(error))) from error
