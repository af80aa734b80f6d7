"""What must be true of every run, whatever went wrong in it: the twelve invariants of reliability.md 5.3.

Each is a function from the ledgers to what it finds wrong; the names say the number in the document. Those about
Twilio's side are in `twilio_rules.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

import msgspec

from checker.ledgers import Ledgers, StateEntry
from checker.refused import remember
from cordboard.log.port import Record
from engine.limits import EngineLimits
from engine.refusals import Refusals
from ingress.webhooks import SOURCES
from schemas.codec import encode
from schemas.ids import timer_record_id
from schemas.records import ActionReport, Command, TimerDue, Webhook
from schemas.routes import Route
from schemas.state import Call, CallState
from schemas.topics import CLAIM_KEY, Topic

Wrong = Iterator[str]
Invariant = Callable[[Ledgers], Wrong]

_LATE_MS = 1_000


def i01_acknowledged_is_kept(ledgers: Ledgers) -> Wrong:
    """Every acknowledged webhook is in the inbox, or set aside with its bytes, and covered by the state."""
    kept = {
        (record.source, form_of(msgspec.json.decode(record.params, type=dict[str, str])))
        for records in ledgers.inbox.values()
        for record in records
        if isinstance(record, Webhook)
    }
    aside = {form_of(dict(parse_qsl((r.value or b"").decode()))) for r in ledgers.dead_letters}
    for callback in ledgers.callbacks:
        source = SOURCES.get(callback.route)
        form = form_of({**_told_before(callback.url), **callback.form})
        if callback.route is Route.VOICEMAIL and "left=" not in callback.url:
            continue  # the document before the message leaves no record
        if callback.acked and source is not None and (source, form) not in kept and form not in aside:
            yield f"acknowledged and not in the inbox: {callback.route} {brief(callback.form)}"


def i02_once_and_in_order(ledgers: Ledgers) -> Wrong:
    """Versions of a call have no gap and no fork, offsets only grow, and no record id changes a call twice."""
    for entries in ledgers.state.values():
        versions: dict[bytes, int] = {}
        offsets: dict[bytes, int] = {}
        for entry in entries:
            if entry.call is None or entry.envelope is None:
                continue
            before = versions.get(entry.key, 0)
            if entry.call.version != before + 1:
                yield f"{_tail(entry.key)}: version {before} is followed by {entry.call.version}"
            if entry.envelope.in_off <= offsets.get(entry.key, -1):
                yield f"{_tail(entry.key)}: offset {entry.envelope.in_off} is applied after {offsets[entry.key]}"
            versions[entry.key], offsets[entry.key] = entry.call.version, entry.envelope.in_off
    versions_of: dict[str, set[str]] = defaultdict(set)
    for event in ledgers.events:
        cause = event["data"].get("cause")
        if cause is not None and not event["type"].endswith("fact.ignored.v1"):
            versions_of[f"{event['subject']} {cause}"].add(event["id"].rpartition(".")[0])
    for cause, made in versions_of.items():
        if len(made) > 1:
            yield f"{cause} has changed the call {len(made)} times: {sorted(made)}"


def i03_owners(ledgers: Ledgers) -> Wrong:
    """Nothing but the latest claimant's appends is in a fenced partition, and claims are few."""
    for topic in (Topic.STATE, Topic.LEDGER):
        for partition in ledgers.partitions:
            records = ledgers.log_records(topic, partition)
            yield from _owners_of(topic, partition, records)
            claims = sum(record.key == CLAIM_KEY for record in records)
            allowed = ledgers.claims_explained(topic, partition)
            if claims > allowed:
                yield f"{topic.value}[{partition}]: {claims} claims, at most {allowed} are explained"


class _Owned(msgspec.Struct):
    owner: int


_owner = msgspec.json.Decoder(_Owned).decode


def _owners_of(topic: Topic, partition: int, records: Sequence[Record]) -> Wrong:
    token = -1
    for record in records:
        if record.key == CLAIM_KEY:
            token = record.offset
        elif record.value is not None and _owner(record.value).owner != token:
            owner = _owner(record.value).owner
            yield f"{topic.value}[{partition}] offset {record.offset}: written by owner {owner} in the time of {token}"


def i04_every_action_ends(ledgers: Ledgers) -> Wrong:
    """Every action wanted ends in exactly one of done, failed, expired, unknown."""
    outcomes: dict[str, set[str]] = defaultdict(set)
    for records in ledgers.inbox.values():
        for record in records:
            if isinstance(record, ActionReport):
                outcomes[record.action].add(record.outcome.value)
    for action in ledgers.actions:
        if len(outcomes[action]) != 1:
            yield f"action {action[-14:]} has ended {len(outcomes[action])} ways: {sorted(outcomes[action])}"
    for call in ledgers.calls.values():
        if call.pending:
            yield f"{_tail(call.call_id)}: still pending at the end: {[item.action.id for item in call.pending]}"


def i08_terminal_is_terminal(ledgers: Ledgers) -> Wrong:
    """A call that has ended stays so, and one that was forgotten does not come back."""
    for entries in ledgers.state.values():
        ended: set[bytes] = set()
        forgotten: set[bytes] = set()
        for entry in entries:
            yield from _terminal(entry, ended, forgotten)


def _terminal(entry: StateEntry, ended: set[bytes], forgotten: set[bytes]) -> Wrong:
    if entry.key in forgotten:
        yield f"{_tail(entry.key)}: came back after its tombstone"
    if entry.call is None:
        if entry.envelope is None and not entry.key.startswith(b"~"):
            forgotten.add(entry.key)
    elif entry.call.state is CallState.ENDED:
        ended.add(entry.key)
    elif entry.key in ended:
        yield f"{_tail(entry.key)}: {entry.call.state.value} after it had ended"


def i09_timers(ledgers: Ledgers) -> Wrong:
    """A timer fires never early, has one effect, is not late where nothing went wrong, and none is forgotten."""
    quiet = ledgers.quiet
    for records in ledgers.inbox.values():
        first: dict[str, int] = {}
        for record in records:
            if not isinstance(record, TimerDue):
                continue
            if record.at < record.due:
                yield f"{record.name} fired {record.due - record.at} ms early"
            if first.setdefault(record.id, record.at) == record.at and quiet and record.at > record.due + _LATE_MS:
                yield f"{record.name} fired {record.at - record.due} ms late"
            if record.id != timer_record_id(record.call_id, record.name, record.due):
                yield f"{record.name} fired as {record.id}"
    yield from _overdue(ledgers)
    yield from _timers_twice(ledgers)


def _overdue(ledgers: Ledgers) -> Wrong:
    """No timer of a call waits although its time has come."""
    for now, calls in ledgers.looks:
        for call in calls.values():
            for name, due in call.timers.items():
                if due < now - _LATE_MS:
                    yield f"{_tail(call.call_id)}: {name} is {now - due} ms overdue"


def _timers_twice(ledgers: Ledgers) -> Wrong:
    """The same timer must not be taken from a call's state by two records."""
    for partition in ledgers.partitions:
        taken: set[str] = set()
        before: dict[bytes, Call] = {}
        for entry in ledgers.state[partition]:
            if entry.call is None or entry.envelope is None:
                continue
            record = ledgers.inbox[partition][entry.envelope.in_off]
            old = before.get(entry.key)
            if isinstance(record, TimerDue) and old is not None and old.timers.get(record.name) == record.due:
                if record.id in taken:
                    yield f"{record.id} has had an effect twice"
                taken.add(record.id)
            before[entry.key] = entry.call


def i10_healed(ledgers: Ledgers) -> Wrong:
    """Thirty seconds after the last fault nothing is behind; at the end every command has its one result."""
    for place, behind in ledgers.behind.items():
        yield f"{place} is {behind} records behind 30 s after the last fault"
    yield from _answered(ledgers)


def _answered(ledgers: Ledgers) -> Wrong:
    for command_id in ledgers.commands:
        answers = {(a["outcome"], a.get("reason")) for a in ledgers.results.get(command_id, ())}
        if not answers:
            yield f"command {command_id} was never answered"
        elif len(answers) > 1:
            yield f"command {command_id} has different answers: {sorted(answers, key=str)}"


def i11_rebuilt(ledgers: Ledgers) -> Wrong:
    """Replaying the inbox through the pure step gives the live state, byte for byte, and so does the state log."""
    board = ledgers.switchboard()
    for partition in ledgers.partitions:
        rebuilt: dict[str, Call] = {}
        refusals = Refusals(EngineLimits().parked_records)
        for record in ledgers.inbox[partition]:
            before = rebuilt.get(record.call_id)
            refused = refusals.of(record.call_id) if before is None else ()
            step = board.step(before, record, refused)
            after = step.call
            if isinstance(record, Command):
                remember(refusals, record, step)
            for command in refused if after is not None else ():
                refusals.drop(command)
            if after is not None:
                rebuilt[record.call_id] = after
            else:
                rebuilt.pop(record.call_id, None)
        for call_id, call in rebuilt.items():
            encoded = encode(call)
            if ledgers.live_state(partition, call_id) not in {encoded, msgspec.UNSET}:
                yield f"{_tail(call_id)}: the live state is not what the inbox gives"
            stored = ledgers.calls.get(call_id)
            if stored is None or encode(stored) != encoded:
                yield f"{_tail(call_id)}: the state log does not hold what the inbox gives"


def i12_nothing_personal_in_logs(ledgers: Ledgers) -> Wrong:
    """No number of anybody in what was logged."""
    for text in ledgers.said:
        if "+1555" in text and any(number in text for number in ledgers.numbers):
            yield f"a number in the log: {text[:120]}"


def i13_nothing_breaks(ledgers: Ledgers) -> Wrong:
    """No poisoned record, no dead letter but callbacks of calls that never came, no process that fails by itself."""
    yield from ledgers.troubles()
    for letter in ledgers.dead_letters:
        reason = dict(letter.headers).get("reason", b"").decode()
        if reason != "unplaced":
            yield f"dead letter: {reason} {dict(letter.headers).get('detail', b'').decode()[:120]}"


def i18_nothing_leaves_early(ledgers: Ledgers) -> Wrong:
    """No action and no event is published before the state that wants it is durable."""
    durable: dict[str, int] = {}
    for entries in ledgers.state.values():
        for entry in entries:
            if entry.call is not None:
                durable.setdefault(f"{entry.call.call_id}.{entry.call.version}", ledgers.place(entry.record))
    for topic in (Topic.ACTIONS, Topic.EVENTS):
        for record in ledgers.records(topic):
            own_id = _id(record.value or b"").id
            written = durable.get(own_id.rpartition(".")[0])
            if written is not None and ledgers.place(record) < written:
                yield f"{topic.value}: {own_id[-16:]} left before its state was durable"


class _Identified(msgspec.Struct):
    id: str


_id = msgspec.json.Decoder(_Identified).decode


LOG_RULES: tuple[Invariant, ...] = (
    i13_nothing_breaks, i01_acknowledged_is_kept, i02_once_and_in_order, i03_owners, i04_every_action_ends,
    i08_terminal_is_terminal, i09_timers, i10_healed, i11_rebuilt, i12_nothing_personal_in_logs,
    i18_nothing_leaves_early,
)  # fmt: skip


def form_of(fields: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What makes two forms the same: an empty field counts as none."""
    return frozenset((name, value) for name, value in fields.items() if value)


def _told_before(url: str) -> dict[str, str]:
    """What a document that asks for itself once more has kept of the first request; Twilio's own names are capital."""
    return {name: value for name, value in parse_qsl(urlsplit(url).query) if name[:1].isupper()}


def brief(form: Mapping[str, str]) -> str:
    """A callback in a few words."""
    return " ".join(form[name] for name in ("StatusCallbackEvent", "CallStatus", "ParticipantLabel") if name in form)


def _tail(key: bytes | str) -> str:
    text = key.decode() if isinstance(key, bytes) else key
    return text if len(text) < 14 else f"…{text[-8:]}"
