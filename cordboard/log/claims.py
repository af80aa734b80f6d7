"""What a claim says, and when one must stand down.

A claim is a record in the fenced partition itself, under `CLAIM_KEY` (reliability.md 2.3). Who may write it, and how
earlier owners are kept out, is each adapter's business.
"""

from collections.abc import Sequence

import msgspec

from cordboard.errors import FencedError, LogError
from cordboard.log.port import MAX_RECORD_BYTES, Entry, Member, Record, RecordTooLargeError
from schemas.topics import CLAIM_KEY, POLICIES, Topic


class Claim(msgspec.Struct, frozen=True):
    """The value of a claim record. `generation` is -1 for a claim made outside a group."""

    owner: str
    group: str
    generation: int
    member: str
    at: int


_DECODER = msgspec.json.Decoder(Claim)


def claim_entry(partition: int, owner: str, member: Member | None, at_ms: int) -> Entry:
    """The record that claims `partition`; `at_ms` is milliseconds since the epoch, for people."""
    who = member or Member(group="", member_id="", generation=-1)
    claim = Claim(owner=owner, group=who.group, generation=who.generation, member=who.member_id, at=at_ms)
    return Entry(partition=partition, key=CLAIM_KEY, value=msgspec.json.encode(claim))


def claim_of(record: Record) -> Claim | None:
    """The claim that a record makes, None when it is not a claim. Raises `LogError` for one that cannot be read."""
    if record.key != CLAIM_KEY:
        return None
    try:
        return _DECODER.decode(record.value or b"")
    except msgspec.DecodeError as error:
        raise LogError(
            f"{record.topic.value}[{record.partition}] offset {record.offset}: not a readable claim ({error}). "
            "Only Cordboard may write this topic; check its access rules"
        ) from error


class StandDowns:
    """Claims of later generations that we have stood down for, so that each one is obeyed exactly once.

    Once, because generations begin anew when a group is deleted; after a stand-down the group itself has assigned the
    partition to us again, and a claim with a higher number is then a leftover of the old numbering.
    """

    def __init__(self) -> None:
        self._obeyed: dict[tuple[Topic, int], int] = {}

    def is_claim(self, record: Record, member: Member | None) -> bool:
        """Whether `record`, found before our own claim, is a claim.

        Raises `FencedError` when it belongs to a later generation of `member`'s group than `member`.
        """
        claim = claim_of(record)
        if claim is not None:
            self._check(record, claim, member)
        return claim is not None

    def _check(self, record: Record, claim: Claim, member: Member | None) -> None:
        if member is None or claim.group != member.group or claim.generation <= member.generation:
            return
        at = (record.topic, record.partition)
        if record.offset <= self._obeyed.get(at, -1):
            return
        self._obeyed[at] = record.offset
        raise FencedError(
            f"{record.topic.value}[{record.partition}]: {claim.owner} claimed in generation {claim.generation}, "
            f"ours is {member.generation}: this claim came late. Standing down until the group assigns anew"
        )


def require_published(topic: Topic, entries: Sequence[Entry], partitions: int) -> None:
    """Refuse entries that `publish` must not take: of a fenced topic, or malformed."""
    if POLICIES[topic].fenced:
        raise LogError(f"{topic.value} is written by the owner of a partition only: use claim() and append()")
    for entry in entries:
        require_fits(topic, entry, partitions)


def require_appended(topic: Topic, partition: int, entries: Sequence[Entry]) -> None:
    """Refuse entries that `append` must not take: of another partition, or claims."""
    for entry in entries:
        if entry.partition != partition or entry.key == CLAIM_KEY:
            raise LogError(
                f"{topic.value}[{partition}]: an owner appends to its own partition and makes no claims by hand, "
                f"not key {entry.key!r} in partition {entry.partition}"
            )
        require_fits(topic, entry, partition + 1)


def require_fits(topic: Topic, entry: Entry, partitions: int) -> None:
    """Refuse an entry of a partition that is not there, or one that is too large."""
    if not 0 <= entry.partition < partitions:
        raise LogError(f"{topic.value} has partitions 0 to {partitions - 1}, not {entry.partition}")
    size = len(entry.key) + len(entry.value or b"") + sum(len(name) + len(value) for name, value in entry.headers)
    if size > MAX_RECORD_BYTES:
        raise RecordTooLargeError(
            f"{topic.value}: a record of {size} bytes, at most {MAX_RECORD_BYTES} are taken. It is a dead letter"
        )
