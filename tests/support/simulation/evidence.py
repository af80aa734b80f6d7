"""A simulated run as the checker wants it: log, Twilio side and acknowledgements, out of the memory of the world."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from checker.ledgers import BROKEN, Delivered, Ledgers, OpenTask, Sent
from cordboard.log.port import Record
from engine.core.config import CoreConfig
from engine.core.step import Switchboard
from schemas.policy import Policies, Policy
from schemas.state import Call
from schemas.topics import Topic
from simulation.centre import OVER
from simulation.nodes import NUMBER
from simulation.phones import ACCOUNT
from simulation.plan import Begins
from simulation.running import Run
from simulation.world import CUSTOMER


class SimulatedLedgers(Ledgers):
    """What a simulated run has left."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.world = run.world
        self.partitions = range(run.world.plan.partitions)

    def log_records(self, topic: Topic, partition: int) -> Sequence[Record]:
        """See `Ledgers`."""
        return self.world.log.records(topic, partition)

    @property
    def callbacks(self) -> Iterable[Delivered]:
        """See `Ledgers`."""
        return (Delivered(c.route, c.url, c.form, c.acked) for c in self.world.network.callbacks)

    @cached_property
    def created(self) -> Mapping[str, Sequence[float]]:
        """See `Ledgers`."""
        found: dict[str, list[float]] = defaultdict(list)
        for done in self.world.phones.done:
            if done.what == "create":
                found[done.action].append(done.at_s)
        return found

    @property
    def sent(self) -> Iterable[Sent]:
        """See `Ledgers`."""
        return (Sent(sent.at_ms, sent.action, sent.doubtful) for sent in self.world.sent)

    @property
    def open_tasks(self) -> Iterable[OpenTask]:
        """See `Ledgers`."""
        for task in self.world.centre.tasks.values():
            if task.status not in OVER:
                known = task.attributes
                yield OpenTask(str(known.get("call_id")), str(known.get("task", "of the queue")), task.status)

    def disagreements(self) -> Iterator[str]:
        """See `Ledgers`."""
        return self.run.agreed.disagreements()

    @property
    def quiet(self) -> bool:
        """See `Ledgers`."""
        return not self.world.script.struck

    def may_have_slept(self, action_id: str) -> bool:
        """See `Ledgers`: by the record of what each process and the network did to that very request."""
        return any((action_id, at) in self.world.strays for at in self.created.get(action_id, ()))

    def claims_explained(self, topic: Topic, partition: int) -> int:
        """See `Ledgers`: at most two for each assignment, and one more for each thing that went wrong."""
        source = Topic.INBOX if topic is Topic.STATE else Topic.ACTIONS
        return 2 * self.world.assigned[source, partition] + len(self.world.script.struck)

    def troubles(self) -> Iterator[str]:
        """See `Ledgers`."""
        if self.run.stuck:
            yield self.run.stuck
        yield from self.world.overdue
        yield from self.world.loop.failures
        for entry in self.world.logged:
            if entry.get("event") in BROKEN:
                yield f"logged: {entry.get('event')} {entry.get('reason', entry.get('exc_info', ''))!r}"

    @property
    def commands(self) -> Iterable[str]:
        """See `Ledgers`."""
        for call in self.world.plan.calls:
            first = 0 if call.begins is Begins.DIAL else 1
            yield from (f"{call.number}-{number}" for number in range(first, len(call.commands) + 1))

    @property
    def numbers(self) -> frozenset[str]:
        """See `Ledgers`."""
        calls = self.world.plan.calls
        people = {person.address for call in calls for person in call.people if person.address.startswith("+")}
        return frozenset({CUSTOMER.format(call.number) for call in calls} | people | {NUMBER})

    @property
    def said(self) -> Iterable[str]:
        """See `Ledgers`."""
        return (repr(entry) for entry in self.world.logged)

    @property
    def looks(self) -> Sequence[tuple[int, Mapping[str, Call]]]:
        """See `Ledgers`: when all had healed, and at the end."""
        return ((self.run.agreed.at_ms, self.run.agreed.calls), (self.run.ended_ms, self.calls))

    @property
    def behind(self) -> Mapping[str, int]:
        """See `Ledgers`."""
        return self.run.lag_after_healing

    def core(self) -> CoreConfig:
        """How the core was configured."""
        policies = Policies(Policy(**self.world.plan.policy))
        return CoreConfig(policies, account_sid=ACCOUNT, number=NUMBER, queues=True)

    def switchboard(self) -> Switchboard:
        """See `Ledgers`."""
        return Switchboard(self.core())

    def live_state(self, partition: int, call_id: str) -> bytes | msgspec.UnsetType | None:
        """See `Ledgers`."""
        owner = self.world.live(partition)
        return None if owner is None else owner.state_of(call_id)

    def place(self, record: Record) -> int:
        """See `Ledgers`."""
        return self.world.log.place(record.topic, record.partition, record.offset)
