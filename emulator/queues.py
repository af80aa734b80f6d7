"""Call queues: who waits in them and how the wait ends (twilio-facts.md 4.3, ``<Enqueue>`` and ``<Dial><Queue>``).

The waiting itself, with its music and its action, is ``twiml/queueing.py``.
"""

from dataclasses import dataclass, field

from emulator import bridge
from emulator.bridge import Bridge
from emulator.entities import Call, Source
from emulator.world import World

DEFAULT_MAX_SIZE = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a wait ended: a QueueResult, and the TwiML that a REST dequeue named."""

    result: str
    source: Source | None = None


@dataclass(eq=False, slots=True, kw_only=True)
class Member:
    """A caller in a queue. ``bridge`` is set from when it talks, when it no longer counts as waiting."""

    call: Call
    queue: "Queue"
    enqueued_at: float
    outcome: Outcome | None = None
    bridge: Bridge | None = None
    task_sid: str = ""
    claimed: bool = False
    """TaskRouter moves the caller elsewhere; its task goes on."""
    position: int = 0
    """The last position, kept when the member is taken out."""


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

    def position(self, member: Member) -> int:
        """Return a member's place, 1 is the next one to be taken."""
        return self.members.index(member) + 1 if member in self.members else member.position

    def average_wait_s(self, now: float) -> int:
        """Return how long the present members have waited on average."""
        waits = [now - member.enqueued_at for member in self.members]
        return round(sum(waits) / len(waits)) if waits else 0


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
        member = Member(call=call, queue=queue, enqueued_at=self._world.clock.now())
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
        """End a member's wait; the first outcome counts."""
        member.outcome = member.outcome or outcome
        self.take(member)
        self._world.events.nudge(member.call.sid)

    def connect(self, member: Member, agent: Call) -> Bridge:
        """Let a waiting member and an agent talk with each other."""
        self.take(member)
        member.bridge = bridge.connect(self._world, member.call, agent)
        return member.bridge

    async def serve(self, call_sid: str, agent: Call) -> bool:
        """Bridge a waiting caller with an answered leg until one of them leaves; False: nobody waits."""
        member = self.member(call_sid)
        if member is None or member.bridge is not None or member.outcome is not None:
            return False
        talk = self.connect(member, agent)
        bridge.hold(self._world, talk, agent)
        await bridge.stay(self._world, talk, agent)
        return True
