"""The figures of a run, counted from the same ledgers that the checker reads."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from actions.ledger import LedgerEntry
from chaos.evidence import ChaosLedgers, Evidence, Facts, is_acknowledged, tells
from chaos.recorder import read_records
from checker.log_rules import i01_acknowledged_is_kept
from cordboard.log.claims import claim_of
from cordboard.log.port import Record
from schemas.actions import CREATING, OnDoubt
from schemas.commands import name_of
from schemas.records import Webhook
from schemas.state import CallState
from schemas.topics import CLAIM_KEY, Topic

_ledger = msgspec.json.Decoder(LedgerEntry).decode


class Figures(msgspec.Struct, kw_only=True):
    """Counts; times in seconds."""

    told: int = 0
    """Webhooks that Twilio has tried to deliver, documents that leave a record among them."""
    acknowledged: int = 0
    attempts: int = 0
    given_up: int = 0
    """Not acknowledged after all of Twilio's retries: lost by the promise of nobody, and looked up later."""
    lost: int = 0
    """Acknowledged and neither in the inbox nor set aside."""
    doubled: int = 0
    """Deliveries in the inbox of webhooks that were there already: suppressed by their id."""
    inbox: int = 0
    states: int = 0
    actions: int = 0
    created: int = 0
    """Calls that Twilio has created for us."""
    twice: int = 0
    """Actions for which it has created more than one, where the policy is to fail."""
    again: int = 0
    """The same where an agent's own device may be dialled once more after a doubt."""
    unknown: int = 0
    """Actions that ended `unknown`."""
    enqueued: int = 0
    """Callers in TaskRouter's own queue."""
    served: int = 0
    """Those whom it has brought together with a worker."""
    commands: int = 0
    answers: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    """Results by the command's short name and outcome."""
    claims: int = 0
    generations: int = 0
    """Rebalances of the groups, as far as claims show them."""
    gap_s: float = 0.0
    """Longest time under load in which one partition's state did not move."""
    silence_s: float = 0.0
    """Longest time under load in which no partition's state did."""
    dead_letters: int = 0

    @property
    def results(self) -> int:
        """Commands that have been answered."""
        return self.answers.total()


def count(evidence: Evidence, load: tuple[float, float]) -> Figures:
    """Count a run whose load was on between these epoch seconds."""
    figures = Figures(commands=len(evidence.facts.commands))
    for told in tells(evidence.facts.folder):
        figures.told += 1
        figures.attempts += told.attempts
        figures.acknowledged += is_acknowledged(told)
        figures.given_up += not is_acknowledged(told) and not told.put_off
    moments: list[float] = []
    for partition in range(evidence.facts.partitions):
        _count_partition(ChaosLedgers(evidence, partition), partition, figures, load, moments)
    figures.silence_s = longest_gap(moments, load)
    _count_claims(evidence.facts, figures)
    return figures


def _count_partition(
    ledgers: ChaosLedgers, partition: int, figures: Figures, load: tuple[float, float], moments: list[float]
) -> None:
    inbox = ledgers.inbox[partition]
    webhooks = [record.id for record in inbox if isinstance(record, Webhook) and not record.parked]
    figures.doubled += len(webhooks) - len(set(webhooks))
    figures.inbox += len(inbox)
    figures.lost += sum(1 for _ in i01_acknowledged_is_kept(ledgers))
    states = ledgers.log_records(Topic.STATE, partition)
    own = [record.timestamp_ms / 1000 for record in states if record.key != CLAIM_KEY]
    figures.states += len(own)
    figures.gap_s = max(figures.gap_s, longest_gap(own, load))
    moments += own
    figures.actions += len(ledgers.actions)
    figures.dead_letters += len(ledgers.log_records(Topic.DEAD_LETTERS, partition))
    _count_answers(ledgers, figures)
    for action_id, times in ledgers.created.items():
        action = ledgers.actions.get(action_id)
        may_again = isinstance(action, CREATING) and action.on_doubt is OnDoubt.RETRY
        figures.created += len(times)
        figures.twice += len(times) > 1 and not may_again
        figures.again += len(times) > 1 and may_again
    _count_queue(ledgers, partition, figures)
    outcomes = Counter(entry.phase.value for _, entry in ledgers.ledger)
    figures.unknown += outcomes["unknown"]


def _count_answers(ledgers: ChaosLedgers, figures: Figures) -> None:
    for command in ledgers.commands:
        for answer in ledgers.results.get(command, ())[:1]:
            figures.answers[name_of(answer["command_type"]) or "unknown", answer["outcome"]] += 1


def _count_queue(ledgers: ChaosLedgers, partition: int, figures: Figures) -> None:
    enqueued: set[str] = set()
    served: set[str] = set()
    for entry in ledgers.state[partition]:
        if entry.call is not None and any(task.enqueued for task in entry.call.tasks):
            enqueued.add(entry.call.call_id)
            if entry.call.state is CallState.IN_CONFERENCE:
                served.add(entry.call.call_id)
    figures.enqueued += len(enqueued)
    figures.served += len(served)


def longest_gap(moments: Iterable[float], load: tuple[float, float]) -> float:
    """The longest time between two of these moments while the load was on."""
    began, ended = load
    inside = [began, *sorted(at for at in moments if began <= at <= ended), ended]
    return max(later - earlier for earlier, later in pairwise(inside))


def _count_claims(facts: Facts, figures: Figures) -> None:
    generations: dict[str, set[int]] = defaultdict(set)
    for topic in (Topic.STATE, Topic.LEDGER):
        for claims in _claims(facts, topic):
            figures.claims += len(claims)
            for record in claims:
                claim = claim_of(record)
                if claim is not None:
                    generations[claim.group].add(claim.generation)
    figures.generations = sum(max(found) - min(found) for found in generations.values() if found)


def _claims(facts: Facts, topic: Topic) -> Iterable[Sequence[Record]]:
    for partition in range(facts.partitions):
        records = read_records(facts.folder / "topics", topic, partition)
        yield [record for record in records if record.key == CLAIM_KEY]
