"""Two calls that talk with each other: what ``<Dial>`` of a party, ``<Queue>`` and the dequeue instruction make."""

from dataclasses import dataclass

from emulator.entities import Call, Direction
from emulator.world import World


@dataclass(eq=False, slots=True)
class Bridge:
    """Two calls; over when one of them leaves."""

    one: Call
    other: Call
    started_at: float
    ended_at: float | None = None

    def seconds(self, now: float) -> int:
        """Return how long the two have talked."""
        return round((now if self.ended_at is None else self.ended_at) - self.started_at)


def connect(world: World, one: Call, other: Call) -> Bridge:
    """Let two calls talk with each other."""
    bridge = Bridge(one, other, world.clock.now())
    world.tell("hears", one, what="people", people=[_party(other)])
    world.tell("hears", other, what="people", people=[_party(one)])
    return bridge


def _party(call: Call) -> str:
    return call.from_ if call.direction is Direction.INBOUND else call.to


def end(world: World, bridge: Bridge) -> None:
    """Let the two part."""
    if bridge.ended_at is None:
        bridge.ended_at = world.clock.now()
        world.tell("bridge.ended", bridge.one)


async def stay(world: World, bridge: Bridge, mine: Call) -> None:
    """Talk until the bridge or this call is over; who stops waiting, redirected or hung up, ends it for both."""
    try:
        over = lambda: bridge.ended_at is not None or not mine.live  # noqa: E731 - one line is all it is
        await world.until(over, bridge.one.sid, bridge.other.sid, mine.sid)
    finally:
        end(world, bridge)


def hold(world: World, bridge: Bridge, leg: Call) -> None:
    """Make the bridge what a dialled leg runs, so that its end or a redirect ends the bridge."""
    leg.script = world.spawn(stay(world, bridge, leg), f"bridge {leg.sid}")


def redirected(leg: Call, bridge: Bridge) -> bool:
    """Tell whether a leg has gone on to TwiML of its own while it talked."""
    return leg.live and leg.source is not None and bridge.ended_at is not None
