"""Call queues: who waits in them, who is bridged with whom (twilio-facts.md 4.3, ``<Enqueue>`` and ``<Dial><Queue>``).

The waiting itself, with its music and its action, is ``twiml/enqueue.py``.
"""

import asyncio
from dataclasses import dataclass, field

from emulator.entities import Call
from emulator.world import World

DEFAULT_MAX_SIZE = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a caller's wait ended: a QueueResult, and whether the call goes on with the Enqueue's action."""

    result: str
    redirect: tuple[str, str] | None = None
    """URL and method of the TwiML that a REST dequeue named."""


@dataclass(eq=False, slots=True)
class Bridge:
    """Two calls that talk with each other until one of them leaves."""

    one: Call
    other: Call
    started_at: float
    over: "asyncio.Future[None]"

    def end(self) -> None:
        """Let the two part."""
        if not self.over.done():
            self.over.set_result(None)


@dataclass(eq=False, slots=True, kw_only=True)
class Member:
    """A caller in a queue. ``bridge`` is set while it talks, when it no longer counts as waiting."""

    call: Call
    queue: "Queue"
    enqueued_at: float
    outcome: "asyncio.Future[Outcome]"
    bridged: asyncio.Event = field(default_factory=asyncio.Event)
    bridge: Bridge | None = None
    task_sid: str = ""
    position: int = 0
    """The position, kept when the member is taken out."""


@dataclass(eq=False, slots=True, kw_only=True)
class Queue:
    """A queue of an account; ``members`` in the order in which they came."""

    sid: str
    account_sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    max_size: int = DEFAULT_MAX_SIZE
    members: list[Member] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """The last hundred waits, for the average."""

    def position(self, member: Member) -> int:
        """Return a member's place, 1 is the next one to be taken."""
        return self.members.index(member) + 1 if member in self.members else member.position

    def average_wait_s(self, now: float) -> int:
        """Return how long the present members have waited on average."""
        if not self.members:
            return 0
        return round(sum(now - member.enqueued_at for member in self.members) / len(self.members))


class Queues:
    """All call queues of the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.by_sid: dict[str, Queue] = {}
        self._members: dict[str, Member] = {}

    def named(self, account_sid: str, key: str) -> Queue | None:
        """Return the account's queue with this SID or name."""
        owned = (queue for queue in self.by_sid.values() if queue.account_sid == account_sid)
        return next((queue for queue in owned if key in {queue.sid, queue.friendly_name}), None)

    def open(self, account_sid: str, name: str, max_size: int = DEFAULT_MAX_SIZE) -> Queue:
        """Return the queue of that name; there is none yet: make it."""
        found = self.named(account_sid, name)
        if found is not None:
            return found
        now = self._world.clock.now()
        sid = self._world.sids.new("QU")
        queue = Queue(
            sid=sid, account_sid=account_sid, friendly_name=name, created_at=now, updated_at=now, max_size=max_size
        )
        self.by_sid[sid] = queue
        return queue

    def enter(self, call: Call, queue: Queue) -> Member:
        """Let a caller wait at the end of the queue."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        member = Member(call=call, queue=queue, enqueued_at=self._world.clock.now(), outcome=future)
        queue.members.append(member)
        self._members[call.sid] = member
        self._world.tell("queue.entered", call, queue=queue.friendly_name, position=len(queue.members))
        return member

    def member(self, call_sid: str) -> Member | None:
        """Return the queue member that a call is, waiting or bridged."""
        return self._members.get(call_sid)

    def take(self, member: Member) -> None:
        """Take a member off the waiting ones."""
        queue = member.queue
        if member in queue.members:
            member.position = queue.position(member)
            queue.members.remove(member)
            self._world.tell("queue.left", member.call, queue=queue.friendly_name)

    def forget(self, member: Member) -> None:
        """The call has nothing to do with the queue any more."""
        self.take(member)
        if self._members.get(member.call.sid) is member:
            del self._members[member.call.sid]

    def leave(self, member: Member, outcome: Outcome) -> None:
        """End a member's wait with an outcome."""
        self.take(member)
        if not member.outcome.done():
            member.outcome.set_result(outcome)

    def connect(self, member: Member, agent: Call) -> Bridge:
        """Let a member and an agent talk with each other."""
        self.take(member)
        member.bridge = connect(self._world, member.call, agent)
        member.bridged.set()
        return member.bridge

    async def bridge(self, call_sid: str, agent: Call) -> bool:
        """Bridge a waiting caller with an agent and wait until one of them leaves; False: nobody waits."""
        member = self.member(call_sid)
        if member is None or member.bridge is not None or member.outcome.done():
            return False
        await talk(self._world, self.connect(member, agent), agent)
        return True


def connect(world: World, one: Call, other: Call) -> Bridge:
    """Let two calls talk with each other."""
    bridge = Bridge(one, other, world.clock.now(), asyncio.get_running_loop().create_future())
    world.tell("hears", one, what="people", people=[other.to])
    world.tell("hears", other, what="people", people=[one.from_ if one.direction == "inbound" else one.to])
    return bridge


async def talk(world: World, bridge: Bridge, mine: Call) -> None:
    """Stay in a bridge until it ends or this call does; whoever stops waiting ends it for both."""
    over = world.spawn(mine.over.wait(), "over")
    try:
        await asyncio.wait({over, bridge.over}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        bridge.end()
