"""What happened, bounded: requests made, REST requests taken, alerts, and the live event bus."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

EntryT = TypeVar("EntryT")
SUBSCRIBER_BOUND = 5_000


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One callback or document fetch, with all its attempts. Times are epoch seconds."""

    number: int
    at: float
    kind: str
    resource: str
    url: str
    method: str
    params: dict[str, str]
    event: str = ""
    token: str = ""
    status: int | None = None
    error: str | None = None
    attempts: int = 0
    done_at: float | None = None
    body: str | None = None
    """The answer's text, of document fetches only."""
    began_at: float | None = None
    """When the first attempt began; before, it waited for the callbacks ahead of it."""
    account_sid: str = ""
    fault: str | None = None
    """The fault that was asked for and hit this request."""
    cause: str = ""
    """``ct rt partial 4xx 5xx url redirects fault``: what kind of failure the error is."""
    code: int | None = None
    """The debugger's code of a document that could not be used."""
    first_error: str | None = None
    """The first attempt's error, when there were more."""
    refusal: str | None = None
    """What the customer's server said with the last answer of 400 or above; its first part."""


@dataclass(slots=True, kw_only=True)
class RestRequest:
    """One REST request that came in."""

    number: int
    at: float
    monotonic: float
    method: str
    path: str
    query: str
    form: list[tuple[str, str]]
    status: int = 0
    code: int | None = None
    fault: str | None = None
    duration_s: float = 0.0
    body: bytes | None = None
    """The answer, of the last ``BODIES_KEPT`` requests."""


class AlertEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what would be Twilio's debugger."""

    at: float
    code: int
    detail: str
    resource: str
    url: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person in the call could notice, for the event stream."""

    number: int
    at: float
    kind: str
    call_sid: str = ""
    conference_sid: str = ""
    data: dict[str, str | int | bool | list[str] | None] = {}


class Journal(Generic[EntryT]):
    """The last ``bound`` entries of one kind, and how many there ever were."""

    def __init__(self, bound: int) -> None:
        self.entries: deque[EntryT] = deque(maxlen=bound)
        self.total = 0

    def add(self, entry: EntryT) -> EntryT:
        """Append an entry; the oldest one goes when the journal is full."""
        self.entries.append(entry)
        self.total += 1
        return entry

    def clear(self) -> None:
        """Forget the entries, keep the count."""
        self.entries.clear()

    @property
    def dropped(self) -> int:
        """How many entries are no longer here."""
        return self.total - len(self.entries)


@dataclass(slots=True, eq=False)
class Subscriber:
    """One reader of the event stream; a reader that lags loses events and is told how many."""

    queue: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(SUBSCRIBER_BOUND))
    lost: int = 0


class EventBus:
    """Hands every event to each live subscriber and keeps the last ones for late readers."""

    def __init__(self, bound: int) -> None:
        self.journal: Journal[Event] = Journal(bound)
        self._subscribers: dict[Subscriber, None] = {}  # in the order in which they came, which is that of telling them
        self._listeners: list[Callable[[Event], None]] = []
        self._watches: dict[str, dict[asyncio.Event, None]] = {}
        self._readers: set[asyncio.Task[object]] = set()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every event from now on, before anybody else hears of it."""
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        """Record the event and offer it to all subscribers without waiting."""
        self.journal.add(event)
        for listener in self._listeners:
            listener(event)
        self.nudge(event.call_sid)
        for subscriber in self._subscribers:
            try:
                subscriber.queue.put_nowait(event)
            except asyncio.QueueFull:
                subscriber.lost += 1

    def nudge(self, call_sid: str) -> None:
        """Let those who wait for something to happen to a call look again."""
        for key in ("", call_sid) if call_sid else ("",):
            for news in self._watches.get(key, ()):
                news.set()

    @contextmanager
    def subscribe(self, *, stream: bool = True) -> Iterator[Subscriber]:
        """Receive events for the length of the ``with`` block; a ``stream`` is cut off when the bus closes."""
        subscriber = Subscriber()
        reader = asyncio.current_task() if stream else None
        self._subscribers[subscriber] = None
        if reader is not None:
            self._readers.add(reader)
        try:
            yield subscriber
        finally:
            self._subscribers.pop(subscriber, None)
            if reader is not None:
                self._readers.discard(reader)

    @contextmanager
    def watch(self, call_sids: tuple[str, ...] = ()) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something has happened, to these calls if any are named."""
        news = asyncio.Event()
        keys = call_sids or ("",)
        for key in keys:
            self._watches.setdefault(key, {})[news] = None
        try:
            yield news
        finally:
            for key in keys:
                watching = self._watches.get(key, {})
                watching.pop(news, None)
                if not watching:
                    self._watches.pop(key, None)

    def close(self) -> None:
        """Cancel the tasks that read: a stream never ends by itself."""
        for reader in [*self._readers]:
            reader.cancel()
