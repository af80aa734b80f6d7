"""Who picks up, and what they do then: the behaviour of people, by address.

A person is configuration, not a process: ``line.py`` plays how a leg rings, ``behaviour.py`` what happens afterwards.
"""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

DEFAULT_RING_S = 1.0
GREETING_S = 4.0
Seconds = Annotated[float, msgspec.Meta(ge=0.0)]
Keys = Annotated[str, msgspec.Meta(pattern="^[0-9*#]{1,64}$")]


class Answer(StrEnum):
    """What a dialled party does."""

    ANSWERS = "answers"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILS = "fails"
    MACHINE = "machine"
    VOICEMAIL = "voicemail"
    REJECTS = "rejects"
    ASKS = "asks"


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One party of calls. How it answers counts when it is dialled, the rest when it calls as well.

    It rings for ``ring_s + answer_after_s`` seconds, then the party does what ``answer`` says. ``busy`` and ``fails``
    never ring and come after ``answer_after_s``. ``no-answer`` rings until the leg's Timeout, or for ``ring_s`` if that
    is given; ``asks`` until somebody answers through the control route. ``machine`` and ``voicemail`` answer with a
    greeting, then a beep. All times in seconds.
    """

    answer: Answer = Answer.ANSWERS
    ring_s: Seconds | None = None
    answer_after_s: Seconds = 0.0
    hang_up_after_s: Seconds | None = None
    """How long after the answer it hangs up."""
    hang_up_held_after_s: Seconds | None = None
    """How long it stays on hold before it hangs up."""
    gives_up_after_s: Seconds | None = None
    """How long it stays, from the call's beginning or the answer, without anybody to talk to."""
    presses: tuple[Keys, ...] = ()
    """What it presses at the first, second… prompt for digits (``<Gather>``, ``<Record>``)."""
    press_after_s: Seconds = 1.0
    """How long after such a prompt has begun."""
    session_s: Seconds | None = None
    """How long a session of ``<Connect>`` with it lasts."""
    greeting_s: Seconds | None = None
    """How long a machine's greeting lasts until the beep; none for ``machine``, 4 s for ``voicemail``."""
    detect_s: Seconds = 0.0
    """How long answering-machine detection takes, seconds."""
    answered_by: str | None = None
    """Overrides the verdict of detection: ``human``, ``machine_start``, ``fax``, ``unknown``…"""
    silent: bool = False
    """Says nothing, calling or called: a recording of the leg ends as ``absent`` (16102)."""
    sip_code: int | None = None
    """Overrides the SipResponseCode of a leg that is not answered."""

    @property
    def acts_after_s(self) -> float:
        """Seconds between the first ring and what the party does."""
        return (DEFAULT_RING_S if self.ring_s is None else self.ring_s) + self.answer_after_s

    @property
    def machine(self) -> bool:
        """Whether it is a machine that answers."""
        return self.answer in {Answer.MACHINE, Answer.VOICEMAIL}

    @property
    def beeps_after_s(self) -> float:
        """Seconds between a machine's answer and its beep."""
        if self.greeting_s is None:
            return GREETING_S if self.answer is Answer.VOICEMAIL else 0.0
        return self.greeting_s


PATIENT = Person()


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of people in a crowd: of all those who are met, ``share`` by the sum of shares behave like this."""

    person: Person
    share: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0
    name: str = ""


def draw(crowd: Sequence[Share], chance: random.Random) -> Share:
    """Return whom one meets in a crowd by chance."""
    return chance.choices(crowd, [one.share for one in crowd])[0]


class People:
    """The directory of behaviours. Addresses are E.164 numbers, ``client:name``, ``sip:user@host``."""

    def __init__(
        self, known: dict[str, Person], default: Person, crowd: Sequence[Share] = (), seed: int | None = None
    ) -> None:
        self._known = dict(known)
        self.default = default
        self.crowd = crowd
        self._chance = random.Random(seed)  # noqa: S311 - chance for tests, repeatable by its seed

    def at(self, address: str) -> Person:
        """Return who answers there; custom parameters behind ``?`` do not count."""
        return self._known.get(address.partition("?")[0], self.default)

    def dialled(self, address: str) -> Person:
        """Return who answers this time: whoever is configured there, else somebody of the crowd, else the default."""
        known = self._known.get(address.partition("?")[0])
        if known is None and self.crowd:
            return draw(self.crowd, self._chance).person
        return known or self.default

    def calling(self, address: str) -> Person:
        """Return who calls from there; callers who are not configured stay until they are told to hang up."""
        return self._known.get(address.partition("?")[0], PATIENT)

    def put(self, address: str, person: Person) -> None:
        """Let ``person`` answer at ``address`` from the next call on."""
        self._known[address] = person

    def forget(self, address: str) -> bool:
        """Go back to the default at ``address``; tell whether anybody was there."""
        return self._known.pop(address, None) is not None

    def listing(self) -> dict[str, Person]:
        """Return who is configured where."""
        return dict(self._known)
