"""What was put aside: dead letters, newest first, and the way back in.

A dead letter's id is `partition-offset` in `call.dead-letters`. Redriving publishes its bytes into the topic they came
from, under a new id that is derived from the old one, so that redriving twice does the work once.
"""

import base64
import re
from bisect import bisect_left, insort
from collections.abc import Mapping

import msgspec
import structlog

from cordboard.log.port import Entry, Headers, Log, Record
from observe.tail import Tail
from schemas.times import rfc3339
from schemas.topics import Topic, partition_of

KEPT = 10_000
KEPT_BYTES = 64 * 1_048_576
BACK_INTO = frozenset({Topic.COMMANDS, Topic.INBOX, Topic.ACTIONS})
"""Topics that a record may be redriven into. Fenced ones have their owner, events are nobody's input."""

_OWN_HEADERS = frozenset({"reason", "detail", "source_topic"})
_ID_LIMIT = 400
_LETTER_ID = re.compile(r"([0-9]{1,6})-([0-9]{1,18})")
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,6})-([0-9]{1,18})")

_log = structlog.get_logger(__name__)
_json = msgspec.json.Decoder(dict[str, msgspec.Raw])


class DeadLetter(msgspec.Struct, frozen=True):
    """One entry of `GET /v1/dead-letters`. `topic` is where it came from, `body_base64` the bytes as they came."""

    id: str
    at: str
    topic: str
    reason: str
    detail: str
    key: str | None
    headers: dict[str, str]
    body_base64: str


class DeadLettersPage(msgspec.Struct, frozen=True):
    """Body of `GET /v1/dead-letters`. `next` is the cursor for `after=`, None at the end."""

    dead_letters: tuple[DeadLetter, ...]
    next: str | None


class Redriven(msgspec.Struct, frozen=True):
    """Body of the answer to a redrive: under which id and into which topic it went. `id` None: it carries none."""

    dead_letter: str
    topic: str
    id: str | None


class InvalidDeadLetterIdError(ValueError):
    """Text that is not `partition-offset`."""


class NotRedrivableError(ValueError):
    """A dead letter that came from no topic that anybody may write to."""


class DeadLetters:
    """The read model and the redrive. The newest `kept` letters within `kept_bytes` are held, older ones read anew."""

    def __init__(self, log: Log, *, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self.tail = Tail(log, Topic.DEAD_LETTERS, self.apply)
        self._log = log
        self._kept = kept
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._order: list[tuple[int, int, int]] = []
        self._records: dict[tuple[int, int], Record] = {}

    def apply(self, record: Record) -> None:
        """Take one record of `call.dead-letters`."""
        at = (record.partition, record.offset)
        if at in self._records:
            return
        self._records[at] = record
        insort(self._order, (record.timestamp_ms, *at))
        self._bytes += len(record.value or b"")
        while len(self._order) > self._kept or (self._bytes > self._kept_bytes and len(self._order) > 1):
            _, partition, offset = self._order.pop(0)
            self._bytes -= len(self._records.pop((partition, offset)).value or b"")

    def page(self, limit: int, after: str | None) -> DeadLettersPage:
        """The newest first, at most `limit`, from behind the letter `after`. Raises `InvalidDeadLetterIdError`."""
        end = len(self._order) if after is None else bisect_left(self._order, _parsed_cursor(after))
        chosen = self._order[max(0, end - limit) : end]
        letters = tuple(_letter(self._records[partition, offset]) for _, partition, offset in reversed(chosen))
        more = end > limit and bool(chosen)
        return DeadLettersPage(letters, f"{chosen[0][0]}.{chosen[0][1]}-{chosen[0][2]}" if more else None)

    async def find(self, letter_id: str) -> DeadLetter | None:
        """One letter. Raises `InvalidDeadLetterIdError`, `LogError`."""
        record = await self._find(letter_id)
        return None if record is None else _letter(record)

    async def redrive(self, letter_id: str) -> Redriven | None:
        """Publish a letter into the topic it came from; None when there is no such letter.

        Raises `InvalidDeadLetterIdError`, `NotRedrivableError`, `LogError`.
        """
        record = await self._find(letter_id)
        if record is None:
            return None
        topic = _source(record)
        value, new_id = renamed(record.value or b"", letter_id)
        headers = _headers_again(record.headers, letter_id)
        key = record.key or b""
        await self._log.publish(topic, [Entry(partition_of(key, self._log.partitions), key, value, headers)])
        _log.info("observe.dead_letter_redriven", dead_letter=letter_id, topic=topic.value, new_id=new_id)
        return Redriven(letter_id, topic.value, new_id)

    async def _find(self, letter_id: str) -> Record | None:
        partition, offset = _parsed(letter_id)
        held = self._records.get((partition, offset))
        if held is not None:
            return held
        bound = (await self._log.bounds(Topic.DEAD_LETTERS)).get(partition)
        if bound is None or not bound.earliest <= offset < bound.end:
            return None
        async with self._log.reader(Topic.DEAD_LETTERS, {partition: offset}) as reader:
            found = await reader.poll(2.0, 1)
        return found[0] if found and found[0].offset == offset else None


def renamed(body: bytes, letter_id: str) -> tuple[bytes, str | None]:
    """A JSON body with its `id` replaced by one that names the old one; other bytes are given back as they are."""
    try:
        fields = _json.decode(body)
        old = msgspec.json.decode(fields["id"], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return body, None
    new = f"redrive.{letter_id}.{old}"[:_ID_LIMIT]
    return msgspec.json.encode({**fields, "id": new}), new


def _headers_again(headers: Headers, letter_id: str) -> Headers:
    """The headers as they came, without those of the dead letter; a binary-mode id gets the new name too."""
    kept = []
    for name, value in headers:
        if name in _OWN_HEADERS or name == "redriven_from":
            continue
        is_id = name.lower() in {"ce_id", "ce-id"}
        kept.append((name, f"redrive.{letter_id}.".encode() + value if is_id else value))
    return (*kept, ("redriven_from", letter_id.encode()))


def _source(record: Record) -> Topic:
    name = _text(dict(record.headers)).get("source_topic", "")
    for topic in BACK_INTO:
        if name == topic.value or name.endswith(f".{topic.value}"):
            return topic
    raise NotRedrivableError(
        f"it came from {name or 'no topic'!r}: only records of {', '.join(sorted(BACK_INTO))} can go back in"
    )


def _letter(record: Record) -> DeadLetter:
    headers = _text(dict(record.headers))
    return DeadLetter(
        id=f"{record.partition}-{record.offset}",
        at=rfc3339(record.timestamp_ms),
        topic=headers.get("source_topic", ""),
        reason=headers.get("reason", ""),
        detail=headers.get("detail", ""),
        key=None if record.key is None else record.key.decode(errors="replace"),
        headers=headers,
        body_base64=base64.b64encode(record.value or b"").decode(),
    )


def _text(headers: Mapping[str, bytes]) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in headers.items()}


def _parsed_cursor(cursor: str) -> tuple[int, int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidDeadLetterIdError(f"after={cursor[:80]!r} is not a cursor: take `next` of the page before")
    return int(match[1]), int(match[2]), int(match[3])


def _parsed(letter_id: str) -> tuple[int, int]:
    match = _LETTER_ID.fullmatch(letter_id)
    if match is None:
        raise InvalidDeadLetterIdError(
            f"{letter_id[:80]!r} is not a dead letter's id: expected PARTITION-OFFSET, such as 3-17"
        )
    return int(match[1]), int(match[2])
