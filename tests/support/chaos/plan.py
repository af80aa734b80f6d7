"""The plan of a chaos run: every fault and every call, from the seed alone. When they really happen differs."""

from enum import StrEnum
from random import Random

import msgspec

from chaos.options import Options
from chaos.topics import Said, draw_connect, draw_topic

NUMBER = "+15550100"
SERVICE_NUMBER = "+15550101"
"""Callers of this one are led to a Conversations service."""
QUEUE_NUMBER = "+15550102"
"""Callers of this one are put into TaskRouter's own queue."""
APPLICATION = "AP" + "0" * 31 + "1"
"""The TwiML application that agents' browsers call out by."""
NUMBERS = (NUMBER, SERVICE_NUMBER, QUEUE_NUMBER)


class Blow(StrEnum):
    """What happens to a part."""

    KILL = "kill -9"
    STOP = "SIGSTOP"
    """Stands still for a while with its sockets open: a zombie when it wakes up."""
    ROLL = "rolling restart"
    """SIGTERM and start of each one, one after the other."""
    CUT = "cut"
    """Every connection of a link breaks, and new ones are refused for a while."""
    DELAY = "delay"
    """Everything on a link takes longer for a while."""


class Part(StrEnum):
    """Whom a blow hits."""

    ENGINE = "engine"
    ACTIONS = "actions"
    INGRESS = "ingress"
    EVERYTHING = "run"
    """One process that is all three."""
    BROKER = "broker"
    TO_BROKER = "services to broker"
    TO_TWILIO = "workers to Twilio"


class Fault(msgspec.Struct, frozen=True):
    """One blow, when `at` (0 to 1) of the load is done. `seconds`: how long it lasts, or until the dead are started."""

    at: float
    blow: Blow
    part: Part
    which: int
    seconds: float

    def __str__(self) -> str:
        """As it is shown while it happens."""
        return f"{self.blow.value} {self.part.value}-{self.which + 1} {self.seconds:.1f} s"


class CallScript(msgspec.Struct, frozen=True):
    """One caller: what is commanded meanwhile, and who ends it. `stays`: until everybody is sent home."""

    caller: str
    said: tuple[Said, ...]
    ends_by_command: bool
    stays: bool
    impatient_s: float
    """Hangs up so long after the start whatever happens, 0 for not."""

    number: str = NUMBER
    """Ours that is called; a customer's where an agent's browser calls."""

    @property
    def is_browser(self) -> bool:
        """Whether an agent calls a customer."""
        return self.caller.startswith("client:")

    @property
    def numbers(self) -> set[str]:
        """Of the people in it, who are to be in no log line."""
        return {self.number} if self.is_browser else {self.caller}

    @property
    def hangs_up_only(self) -> bool:
        """Whether the caller leaves after `impatient_s`, and nothing else happens."""
        return self.number in {SERVICE_NUMBER, QUEUE_NUMBER} and self.impatient_s > 0

    @property
    def begins_with(self) -> str:
        """The event from which on things are commanded."""
        return "call.connected" if self.is_browser or self.number == QUEUE_NUMBER else "call.waiting"


SERVICES = (Part.INGRESS, Part.ENGINE, Part.ACTIONS)
_KILLED = (Part.ENGINE, Part.ACTIONS, Part.INGRESS, Part.ENGINE, Part.ACTIONS, Part.BROKER)
_STOPPED = (Part.ENGINE, Part.ACTIONS, Part.INGRESS, Part.BROKER, Part.ENGINE, Part.ACTIONS)
_ROLLED = (Part.ENGINE, Part.ACTIONS, Part.BROKER, Part.INGRESS)
_LINKED = (Part.TO_BROKER, Part.TO_TWILIO)
_STANDS_STILL_S = {
    Part.ENGINE: (1.0, 14.0),
    Part.ACTIONS: (1.0, 14.0),
    Part.INGRESS: (0.5, 4.0),
    Part.EVERYTHING: (0.5, 4.0),
    Part.BROKER: (1.0, 8.0),
}


def draw_faults(options: Options) -> tuple[Fault, ...]:
    """Everything that will go wrong, in its order."""
    rng = Random(f"chaos-faults-{options.seed}-{options.brokers}")  # noqa: S311 - not for secrets
    count = options.kills
    blows = [(Blow.KILL, _KILLED[number % len(_KILLED)]) for number in range(count)]
    blows += [(Blow.STOP, _STOPPED[number % len(_STOPPED)]) for number in range(_part_of(count, 3))]
    blows += [(Blow.CUT, _LINKED[number % len(_LINKED)]) for number in range(_part_of(count, 6))]
    blows += [(Blow.DELAY, _LINKED[number % len(_LINKED)]) for number in range(_part_of(count, 6))]
    blows += [(Blow.ROLL, _ROLLED[number % len(_ROLLED)]) for number in range(_part_of(count, 15))]
    rng.shuffle(blows)
    step = 1 / max(len(blows), 1)
    return tuple(
        _fault(rng, options, blow, part, 0.02 + 0.96 * step * (number + rng.random()))
        for number, (blow, part) in enumerate(blows)
    )


def _part_of(count: int, divisor: int) -> int:
    return -(-count // divisor)


def _fault(rng: Random, options: Options, blow: Blow, part: Part, at: float) -> Fault:
    if options.together and part in SERVICES:
        part = Part.EVERYTHING
    which = rng.randrange(options.brokers if part in {Part.BROKER, Part.TO_BROKER} else 2)
    match blow:
        case Blow.STOP:
            seconds = rng.uniform(*_STANDS_STILL_S[part])
        case Blow.KILL:
            seconds = rng.choice((0.1, 0.5, 1.0, 3.0))
        case Blow.CUT | Blow.DELAY:
            seconds = rng.uniform(0.2, 5.0)
        case Blow.ROLL:
            seconds = 0.0
    return Fault(round(at, 4), blow, part, 0 if part is Part.TO_TWILIO else which, round(seconds, 2))


def draw_call(seed: int, number: int) -> CallScript:
    """The call with that number."""
    rng = Random(f"chaos-call-{seed}-{number}")  # noqa: S311 - not for secrets
    caller = f"+1555{1_000_000 + number % 9_000_000:07d}"
    if number % 10 == 3:
        talks_s = round(rng.uniform(0.2, 8.0), 2)
        return CallScript(caller, (), ends_by_command=False, stays=False, impatient_s=talks_s, number=SERVICE_NUMBER)
    called = {6: QUEUE_NUMBER, 9: f"+1555900{number % 10_000:04d}"}.get(number % 10, NUMBER)
    said = [draw_connect(rng)] if called == NUMBER else []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        said += draw_topic(rng)
    return CallScript(
        caller=caller if called in NUMBERS else f"client:desk{number}",
        said=tuple(said),
        ends_by_command=rng.random() < 0.5,
        stays=number % 100 == 7 or number % 400 == 26,
        impatient_s=round(rng.uniform(0.2, 8.0), 2) if rng.random() < 0.1 else 0.0,
        number=called,
    )
