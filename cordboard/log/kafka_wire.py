"""Kafka's Produce request as it goes over the wire, version 7: the newest that aiokafka speaks, taken by 2.1 to 4.x.

aiokafka puts requests together field by field, in Python; of a record that was published alone this was the larger part
of the cost. Everything else that is said to Kafka, aiokafka says. The format: Kafka's protocol guide, "Produce API".
"""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Self

import msgspec
from aiokafka.errors import IncompatibleBrokerVersion

_API_KEY, _API_VERSION = 0, 7
_ALL_IN_SYNC_REPLICAS = -1
_NO_TRANSACTION = -1

_HEADER = struct.Struct(">hhih")
_BEGIN = struct.Struct(">hhii")
_INT16 = struct.Struct(">h")
_INT32 = struct.Struct(">i")
_PARTITION = struct.Struct(">ii")
_ANSWER = struct.Struct(">ihqqq")

Place = tuple[str, int]
"""A topic's name and a partition."""


class Appended(msgspec.Struct, frozen=True):
    """What a broker says of one batch: Kafka's error code (0 is none), and the offset of its first record (or -1)."""

    error_code: int
    offset: int


class _Header:
    """A request's header, version 1, for `AIOKafkaConnection.send`."""

    def __init__(self, correlation_id: int, client_id: str) -> None:
        self._correlation_id = correlation_id
        self._client_id = client_id.encode()

    def encode(self) -> bytes:
        """The bytes between the size and the body."""
        fixed = _HEADER.pack(_API_KEY, _API_VERSION, self._correlation_id, len(self._client_id))
        return fixed + self._client_id


class _AnswerHeader(msgspec.Struct, frozen=True):
    correlation_id: int


class ProduceAnswer(msgspec.Struct, frozen=True):
    """What became of each batch of a request."""

    appended: Mapping[Place, Appended]

    @classmethod
    def decode(cls, buffer: BytesIO) -> Self:
        """Read the body of an answer. Raises `struct.error` for one that is cut off."""
        data = buffer.read()
        appended: dict[Place, Appended] = {}
        (topics,) = _INT32.unpack_from(data, 0)
        at = _INT32.size
        for _ in range(topics):
            (length,) = _INT16.unpack_from(data, at)
            begin = at + _INT16.size
            topic = data[begin : begin + length].decode()
            (partitions,) = _INT32.unpack_from(data, begin + length)
            at = begin + length + _INT32.size
            for _ in range(partitions):
                partition, error_code, offset, _, _ = _ANSWER.unpack_from(data, at)
                appended[topic, partition] = Appended(error_code, offset)
                at += _ANSWER.size
        return cls(appended)


class Produce:
    """One request: at most one batch a partition. Stands in for a request of aiokafka's in `AIOKafkaClient.send`."""

    API_KEY = _API_KEY
    API_VERSION = _API_VERSION
    RESPONSE_TYPE = ProduceAnswer

    def __init__(self, batches: Mapping[Place, bytes], timeout_s: float) -> None:
        """`timeout_s` is how long the broker may wait for its replicas."""
        self._batches = batches
        self._timeout_ms = int(timeout_s * 1000)

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Self:
        """Ourselves, if the broker takes this version. Raises `IncompatibleBrokerVersion`."""
        lowest, highest = versions.get(_API_KEY, (0, 0))
        if not lowest <= _API_VERSION <= highest:
            raise IncompatibleBrokerVersion(
                f"Produce version {_API_VERSION} is needed, the broker takes {lowest} to {highest}; Kafka 2.1 to 4.x do"
            )
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        """What goes before the body."""
        return _Header(correlation_id, client_id)

    def encode(self) -> bytes:
        """The body."""
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for (topic, partition), batch in self._batches.items():
            topics.setdefault(topic, []).append((partition, batch))
        parts = [_BEGIN.pack(_NO_TRANSACTION, _ALL_IN_SYNC_REPLICAS, self._timeout_ms, len(topics))]
        for topic, batches in topics.items():
            parts += _topic(topic, batches)
        return b"".join(parts)

    def parse_response_header(self, buffer: BytesIO) -> _AnswerHeader:
        """Read the header of the answer."""
        return _AnswerHeader(_INT32.unpack(buffer.read(_INT32.size))[0])


def _topic(topic: str, batches: Sequence[tuple[int, bytes]]) -> list[bytes]:
    name = topic.encode()
    parts = [_INT16.pack(len(name)), name, _INT32.pack(len(batches))]
    for partition, batch in batches:
        parts.append(_PARTITION.pack(partition, len(batch)))
        parts.append(batch)
    return parts
