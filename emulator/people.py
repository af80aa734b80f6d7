"""Who picks up: the behaviour of dialled parties, by address.

A person is configuration, not a process: ``line.py`` plays it when a leg is dialled.
"""

from enum import StrEnum

import msgspec

DEFAULT_RING_S = 1.0


class Answer(StrEnum):
    """What a dialled party does."""

    ANSWERS = "answers"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILS = "fails"
    MACHINE = "machine"
    REJECTS = "rejects"
    ASKS = "asks"


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dialled party.

    It rings for ``ring_s + answer_after_s`` seconds, then the party does what ``answer`` says. ``busy`` and ``fails``
    never ring and come after ``answer_after_s``. ``no-answer`` rings until the leg's Timeout, or for ``ring_s`` if that
    is given; ``asks`` until somebody answers through the control route. ``hang_up_after_s`` counts from the answer.
    """

    answer: Answer = Answer.ANSWERS
    ring_s: float | None = None
    answer_after_s: float = 0.0
    hang_up_after_s: float | None = None
    detect_s: float = 0.0
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


class People:
    """The directory of behaviours. Addresses are E.164 numbers, ``client:name``, ``sip:user@host``."""

    def __init__(self, known: dict[str, Person], default: Person) -> None:
        self._known = dict(known)
        self.default = default

    def at(self, address: str) -> Person:
        """Return who answers there; custom parameters behind ``?`` do not count."""
        return self._known.get(address.partition("?")[0], self.default)

    def put(self, address: str, person: Person) -> None:
        """Let ``person`` answer at ``address`` from the next call on."""
        self._known[address] = person

    def forget(self, address: str) -> bool:
        """Go back to the default at ``address``; tell whether anybody was there."""
        return self._known.pop(address, None) is not None

    def listing(self) -> dict[str, Person]:
        """Return who is configured where."""
        return dict(self._known)
