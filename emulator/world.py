"""The emulated world: every account, call and conference, and the services that work on them.

A container and a few look-ups; the rules of calls and conferences live in their own modules.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from emulator.bins import Bins
from emulator.clock import Clock
from emulator.config import ApplicationConfig, EmulatorConfig, NumberConfig
from emulator.entities import (
    Account,
    ApiKey,
    Application,
    Call,
    Conference,
    ConferenceStatus,
    Number,
    Recording,
    Source,
    Subscription,
)
from emulator.errors import Alert
from emulator.faults import Faults
from emulator.journal import AlertEntry, Event, EventBus, Exchange, Journal, RestRequest
from emulator.people import People
from emulator.sids import Sids
from emulator.statistics import Statistics
from emulator.taskrouter.entities import Workspace

if TYPE_CHECKING:
    from emulator.callbacks import Callbacks
    from emulator.exchange import Exchanger
    from emulator.queues import Queues

log = structlog.get_logger("emulator")
TERMINAL_EVENTS = frozenset({"completed"})


def mask(address: str) -> str:
    """Return an address fit for a log: the last four digits of a number, the kind of anything else."""
    if address.startswith("+"):
        return f"+…{address[-4:]}"
    return f"{address.partition(':')[0]}:…" if ":" in address else "…"


class World:
    """All state of one emulator. Made before the loop runs; ``start`` needs the loop."""

    exchanger: "Exchanger"
    callbacks: "Callbacks"
    queues: "Queues"
    dial_leg: "Callable[[World, Call], None]"
    """``line.dial``: TwiML and TaskRouter, which ``line`` is built on, dial through it."""
    redirect_call: "Callable[[World, Call, Source], None]"
    """``line.redirect``, for the same reason."""

    def __init__(self, config: EmulatorConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.switches = config.switches
        self.clock = clock or Clock()
        self.sids = Sids(config.seed)
        self.people = People(config.people, config.default_person, config.crowd, config.seed)
        self.bins = Bins(config.twiml)
        self.statistics = Statistics()
        self.tokens: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        for sid, token in {config.account_sid: config.auth_token, **config.subaccounts}.items():
            self.add_account(sid, token, "Local Twilio" if sid == config.account_sid else "")
        for sid, secret in config.api_keys.items():
            self.add_key(sid, secret, config.account_sid)
        self.calls: dict[str, Call] = {}
        self.conferences: dict[str, Conference] = {}
        self.recordings: dict[str, Recording] = {}
        self.recordings_of: dict[str, list[Recording]] = {}
        self._ended_calls: deque[str] = deque()
        self._ended_rooms: deque[str] = deque()
        self.workspaces: dict[str, Workspace] = {}
        self.numbers: dict[str, Number] = {}
        self.applications: dict[str, Application] = {}
        self.events = EventBus(config.journal_size)
        self.exchanges: Journal[Exchange] = Journal(config.journal_size)
        self.rest: Journal[RestRequest] = Journal(config.journal_size)
        self.alerts: Journal[AlertEntry] = Journal(config.journal_size)
        self.faults = Faults(config.chaos, config.seed)
        self.crashes = 0
        self.closing = False
        self.rest_in_flight = 0
        self.started_at = self.clock.now()
        self.calls_per_second = config.calls_per_second
        self.next_slot_at: dict[str, float] = {}
        self._rooms: dict[tuple[str, str], Conference] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        for number, number_config in config.numbers.items():
            self.put_number(number, number_config)
        for sid, application_config in config.applications.items():
            self.put_application(sid, application_config)

    def settled(self, at: float) -> bool:
        """Tell whether something that happened at ``at`` is seen by reads yet (``read_lag_s``)."""
        lag_s = self.switches.read_lag_s
        return lag_s <= 0 or self.clock.now() - at >= lag_s

    # -- accounts -----------------------------------------------------------------------------------------------------

    def add_account(self, sid: str, token: str, name: str) -> Account:
        """Make an account known by its auth token."""
        now = self.clock.now()
        self.tokens[sid] = token
        self.accounts[sid] = Account(
            sid=sid, friendly_name=name or f"Account {sid[-4:]}", created_at=now, updated_at=now
        )
        return self.accounts[sid]

    def add_key(self, sid: str, secret: str, account_sid: str, name: str = "") -> ApiKey:
        """Make an API key known."""
        now = self.clock.now()
        self.keys[sid] = ApiKey(
            sid=sid, secret=secret, account_sid=account_sid, friendly_name=name, created_at=now, updated_at=now
        )
        return self.keys[sid]

    def signing_token(self, account_sid: str) -> str:
        """Return the token that signs this account's webhooks (U1)."""
        if self.switches.u1_subaccount_signs:
            return self.tokens[account_sid]
        return self.config.auth_token

    def put_number(self, number: str, config: NumberConfig) -> Number:
        """Create the number or point it anew."""
        old = self.numbers.get(number)
        now = self.clock.now()
        self.numbers[number] = Number(
            sid=old.sid if old else self.sids.new("PN"),
            account_sid=config.account_sid or self.config.account_sid,
            number=number,
            friendly_name=config.friendly_name or number,
            voice=Source(
                config.voice_url,
                config.voice_method,
                None,
                config.voice_fallback_url,
                config.voice_fallback_method,
            ),
            progress=Subscription(config.status_callback, config.status_callback_method, TERMINAL_EVENTS),
            voice_application_sid=config.voice_application_sid,
            created_at=old.created_at if old else now,
            updated_at=now,
        )
        return self.numbers[number]

    def put_application(self, sid: str, config: ApplicationConfig) -> Application:
        """Create the TwiML application or point it anew."""
        old, now = self.applications.get(sid), self.clock.now()
        self.applications[sid] = Application(
            sid=sid,
            account_sid=config.account_sid or self.config.account_sid,
            voice=Source(
                config.voice_url,
                config.voice_method,
                None,
                config.voice_fallback_url,
                config.voice_fallback_method,
            ),
            progress=Subscription(config.status_callback, config.status_callback_method, TERMINAL_EVENTS),
            created_at=old.created_at if old else now,
            updated_at=now,
            friendly_name=old.friendly_name if old else f"Application {sid[-4:]}",
        )
        return self.applications[sid]

    # -- rooms --------------------------------------------------------------------------------------------------------

    def _room_key(self, account_sid: str, name: str) -> tuple[str, str]:
        return account_sid, name if self.switches.u22_names_case_sensitive else name.casefold()

    def active_room(self, account_sid: str, name: str) -> Conference | None:
        """Return the one active conference of that name, if there is one."""
        room = self._rooms.get(self._room_key(account_sid, name))
        return room if room is not None and room.status is not ConferenceStatus.COMPLETED else None

    def add_room(self, conference: Conference) -> None:
        """Make a conference the active one of its name."""
        self.conferences[conference.sid] = conference
        self._rooms[self._room_key(conference.account_sid, conference.name)] = conference

    def close_room(self, conference: Conference) -> None:
        """Free the name of a conference that has ended."""
        key = self._room_key(conference.account_sid, conference.name)
        if self._rooms.get(key) is conference:
            del self._rooms[key]
        self.retire_room(conference)

    # -- history: what is over is kept for a while, then forgotten ---------------------------------------------------

    def add_call(self, call: Call) -> None:
        """Make a call known."""
        self.calls[call.sid] = call
        self.statistics.called(call.direction.value, "begun")

    def retire_call(self, call: Call) -> None:
        """Keep a call that is over among the last ``history_size`` ones."""
        self.statistics.called(call.direction.value, call.status.value)
        self._ended_calls.append(call.sid)
        if len(self._ended_calls) > self.config.history_size:
            gone = self._ended_calls.popleft()
            self.calls.pop(gone, None)
            for recording in self.recordings_of.pop(gone, ()):
                self.recordings.pop(recording.sid, None)

    def retire_room(self, room: Conference) -> None:
        """Keep a conference that is over among the last ``history_size`` ones."""
        self._ended_rooms.append(room.sid)
        if len(self._ended_rooms) > self.config.history_size:
            gone = self._ended_rooms.popleft()
            self.conferences.pop(gone, None)
            for recording in self.recordings_of.pop(gone, ()):
                self.recordings.pop(recording.sid, None)

    def add_recording(self, recording: Recording) -> None:
        """Make a recording known, under its call or conference too."""
        self.recordings[recording.sid] = recording
        self.recordings_of.setdefault(recording.call_sid or recording.conference_sid, []).append(recording)

    # -- telling ------------------------------------------------------------------------------------------------------

    def tell(
        self,
        kind: str,
        call: Call | None = None,
        conference: Conference | None = None,
        **data: str | int | bool | list[str] | None,
    ) -> None:
        """Publish what a person in the call could notice."""
        self.events.publish(
            Event(
                number=self.events.journal.total + 1,
                at=self.clock.now(),
                kind=kind,
                call_sid=call.sid if call else "",
                conference_sid=conference.sid if conference else "",
                data={name.rstrip("_"): value for name, value in data.items()},
            )
        )

    def alert(self, code: Alert, detail: str, resource: str, url: str = "") -> None:
        """Write a line into the debugger."""
        self.alerts.add(
            AlertEntry(at=self.clock.now(), code=int(code), detail=detail, resource=resource, url=url.partition("?")[0])
        )
        self.tell("alert", self.calls.get(resource), code=int(code), detail=detail)
        log.warning("emulator.alert", code=int(code), detail=detail, resource=resource)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """Run a coroutine beside everything else; a crash is logged and counted, never lost."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.crashes += 1
            log.error("emulator.task_crashed", task=task.get_name(), exc_info=error)

    async def until(self, condition: Callable[[], bool], *call_sids: str) -> None:
        """Wait until a condition of the world holds; it is asked again whenever something has happened.

        With ``call_sids`` only what happens to these calls is looked at: thousands may wait at the same time.
        """
        with self.events.watch(call_sids) as news:
            while not condition():
                await news.wait()
                news.clear()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Run a coroutine beside everything else, to the end; nobody waits for it."""
        self._tasks.add(self.spawn(work, name))

    async def close(self) -> None:
        """Stop everything that runs."""
        self.closing = True
        for call in self.calls.values():
            for timer in call.timers:
                timer.cancel()
        for workspace in self.workspaces.values():
            workspace.stop_timers()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
