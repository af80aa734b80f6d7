"""Topics, their keys and policies, and the one partition function (design.md section 3, reliability.md 2.4)."""

import struct
from enum import StrEnum

import msgspec

STATE_POSITION_KEY = b"~pos"
CLAIM_KEY = b"~owner"
PARKED_KEY_PREFIX = b"~parked."

_DAY_MS = 86_400_000


class Topic(StrEnum):
    """The topics, without the configured prefix."""

    COMMANDS = "call.commands"
    INBOX = "call.inbox"
    STATE = "call.state"
    ACTIONS = "call.actions"
    LEDGER = "call.ledger"
    EVENTS = "call.events"
    DEAD_LETTERS = "call.dead-letters"


class TopicPolicy(msgspec.Struct, frozen=True):
    """How a topic is kept. `settings` are Kafka topic settings; `fenced` topics are written by their owner only."""

    settings: dict[str, str]
    fenced: bool = False


def _deleted_after(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS), "max.message.bytes": "1048588"}


_COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "300000",
    "segment.bytes": "67108864",
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "600000",
    "min.compaction.lag.ms": "60000",
    "delete.retention.ms": str(_DAY_MS),
    "max.message.bytes": "1048588",
}

POLICIES: dict[Topic, TopicPolicy] = {
    Topic.COMMANDS: TopicPolicy(_deleted_after(7)),
    Topic.INBOX: TopicPolicy(_deleted_after(7)),
    Topic.STATE: TopicPolicy(_COMPACTED, fenced=True),
    Topic.ACTIONS: TopicPolicy(_deleted_after(1)),
    Topic.LEDGER: TopicPolicy(
        {**_COMPACTED, "cleanup.policy": "compact,delete", "retention.ms": str(7 * _DAY_MS)}, fenced=True
    ),
    Topic.EVENTS: TopicPolicy(_deleted_after(7)),
    Topic.DEAD_LETTERS: TopicPolicy(_deleted_after(7)),
}

_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 of `data` as an unsigned 32-bit integer.

    Source: `org.apache.kafka.common.utils.Utils.murmur2`.
    """
    words, rest = divmod(len(data), 4)
    h = _SEED ^ len(data)
    for word in struct.unpack_from(f"<{words}I", data):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if rest:
        h ^= int.from_bytes(data[-rest:], "little")
        h = h * _M & _MASK
    h ^= h >> 13
    h = h * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Java's default partitioner and aiokafka choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
