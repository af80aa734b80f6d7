"""A run as data: who calls, what is commanded, how people behave, and what goes wrong when. All of it from the seed.

Nothing is drawn while a plan is carried out but latencies, so that a plan with a piece left out is still a run
(`shrink.py`). What the words mean is said where they are carried out.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Where(StrEnum):
    """What a fault strikes: the nth operation on the log, a spool's disk, REST request or callback; or a time."""

    LOG = "log"
    DISK = "disk"
    REST = "rest"
    CALLBACK = "callback"
    NODE = "node"
    AWAY = "away"
    ROOM = "room"


class Effect(StrEnum):
    """What goes wrong."""

    REFUSED = "refused"
    """Log: not written. REST: no connection."""
    LOST_ACK = "lost_ack"
    """Written, and the writer is told that it failed."""
    DELAY = "delay"
    """Everything takes `seconds` longer; a REST request longer than its time-out takes effect all the same."""
    CRASH_BEFORE = "crash_before"
    """The process dies before the operation has any effect."""
    CRASH_AFTER = "crash_after"
    """The process dies before it hears of the effect."""
    PAUSE_BEFORE = "pause_before"
    """The process stands still for `seconds`, its partitions are given away, and it goes on with the operation."""
    PAUSE_AFTER = "pause_after"
    TWICE = "twice"
    """Log: the record is in it twice. Callback: delivered again after `seconds`."""
    LIMITED = "limited"
    """429."""
    UNAVAILABLE = "unavailable"
    """503, nothing done."""
    ERROR_AFTER = "error_after"
    """500, done all the same."""
    RESET_AFTER = "reset_after"
    """Done, and the connection is gone without an answer."""
    TIMEOUT = "timeout"
    """No answer, nothing done."""
    TIMEOUT_AFTER = "timeout_after"
    """No answer, done all the same."""
    LOST = "lost"
    """A callback is never sent."""
    KILL = "kill"
    """kill -9 of a node, which comes back after `seconds`."""
    PAUSE = "pause"
    """SIGSTOP of a node for `seconds`."""
    EVICT = "evict"
    """The group loses sight of a node, which hears of it after `seconds`."""
    REJOIN = "rejoin"
    """A node asks for a new assignment: its partitions move."""
    AWAY = "away"
    """The log takes nothing for `seconds`: in partition `node`, or anywhere if that is below 0."""
    ENDS = "ends"
    """The room of a call ends although nobody in it wants it to."""
    DRAIN = "drain"
    """A node is stopped orderly and comes back after `seconds`."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that goes wrong. `nth` counts from 1 among operations `on` a `topic`, REST requests or callbacks.

    `node` is the node, or the call whose room it is.
    """

    where: Where
    effect: Effect
    nth: int = 0
    at_s: float = 0.0
    seconds: float = 0.0
    on: str = ""
    topic: str = ""
    node: int = 0


class Picks(StrEnum):
    """What becomes of a call to somebody."""

    ANSWERS = "answers"
    BUSY = "busy"
    REJECTS = "rejects"
    NO_ANSWER = "no_answer"
    FAILS = "fails"


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody at an address: `after_s` of ringing it `picks`; who answers hangs up after `talks_s`, 0 for never."""

    address: str
    picks: Picks = Picks.ANSWERS
    after_s: float = 1.0
    talks_s: float = 0.0


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command given `after_s` seconds after the one before; `times` it is sent, as lossy producers do.

    `deadline_s` bounds its beginning, 0 for the default.
    """

    after_s: float
    name: str
    data: dict[str, Any] = {}
    times: int = 1
    deadline_s: float = 0.0


class Begins(StrEnum):
    """How a call begins."""

    INBOUND = "inbound"
    BROWSER = "browser"
    DIAL = "dial"


class CallPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call. The one who began it hangs up `talks_s` after that, 0 for not before the end of the run."""

    number: int
    begins: Begins
    at_s: float
    people: tuple[Person, ...] = ()
    commands: tuple[Said, ...] = ()
    talks_s: float = 0.0


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run. `split`: engine, workers and edge are nodes of their own; else every node is all of them.

    `fences_alone`: the engine's own stall guard is so patient that only the log keeps zombies out. `forgets`: the run
    goes on until the tombstones are gone.
    """

    seed: int
    partitions: int
    nodes: int
    split: bool
    calls: tuple[CallPlan, ...]
    faults: tuple[Fault, ...]
    fences_alone: bool = False
    forgets: bool = False
    policy: dict[str, Any] = {}
    machines: tuple[str, ...] = ()
    """Addresses at which a machine answers, where Cordboard has Twilio listen for them."""
    parted: bool = False
    """The log's partitions fail one by one, as Kafka's do; else all or none."""
    spool: int = 1000
    """How many records the spool of an ingress takes."""
