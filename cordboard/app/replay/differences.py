"""What is different now: states, actions, events, results, dead letters of every call, each with its cause.

What may have been deleted since is not called a difference: nothing is expected of a topic before its oldest record.
A field of the state that differs is told once, with the record where it began to.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from cordboard.app.replay.recorded import Letter, Recorded, Said
from cordboard.app.replay.rerun import Outcome, Rerun, cause_of
from schemas.events import TYPE_PREFIX, TYPE_SUFFIX
from schemas.results import RESULT_TYPE
from schemas.topics import Topic

ABSENT = "—"


class Difference(msgspec.Struct, frozen=True):
    """One thing about one call. `kind`: state, action, event, result or dead_letter; `what` names it.

    `then` and `now` are JSON, or absent. `offset` and `cause` are of the inbox record, `at` its log time (ms); absent
    for what only the past knows.
    """

    kind: str
    what: str
    then: str | None
    now: str | None
    at: int | None = None
    offset: int | None = None
    cause: str | None = None


class CallReport(msgspec.Struct, frozen=True):
    """One call. `skipped` says why it was left out; `resumed` that it was stepped from a recorded state on."""

    call_id: str
    partition: int
    records: int = 0
    differences: tuple[Difference, ...] = ()
    resumed: bool = False
    skipped: str | None = None


class _Call:
    """The comparison of one call in the making."""

    def __init__(self) -> None:
        self.records = 0
        self.differences: list[Difference] = []
        self.standing: dict[str, tuple[str | None, str | None]] = {}


class Comparison:
    """One partition: then against now."""

    def __init__(self, recorded: Recorded, rerun: Rerun) -> None:
        self._recorded = recorded
        self._rerun = rerun
        self._calls: dict[str, _Call] = {}
        self._states = {
            (call_id, state.in_off): state.encoded
            for call_id, states in recorded.states.items()
            for state in states
            if state.encoded is not None
        }
        self._heard: set[Said] = set()
        self._asked: set[Said] = set()

    def reports(self) -> Iterator[CallReport]:
        """Step everything, and tell of each call."""
        for outcome in self._rerun.outcomes():
            self._compare(outcome)
        for call_id in self._rerun.resumed:
            self._calls.setdefault(call_id, _Call())  # also where nothing was left to step
        self._only_then()
        for call_id, call in self._calls.items():
            resumed = call_id in self._rerun.resumed
            differences = tuple(call.differences)
            yield CallReport(call_id, self._recorded.partition, call.records, differences, resumed=resumed)
        for call_id, why in self._rerun.skipped.items():
            yield CallReport(call_id, self._recorded.partition, skipped=why)

    def _compare(self, outcome: Outcome) -> None:
        call = self._calls.setdefault(outcome.call_id, _Call())
        call.records += 1
        found = [*self._said(outcome), *self._wanted(outcome), *self._put_aside(outcome)]
        found += self._became(outcome, call)
        if found:
            at, offset, cause = outcome.record.timestamp_ms, outcome.record.offset, cause_of(outcome.record)
            call.differences += [msgspec.structs.replace(one, at=at, offset=offset, cause=cause) for one in found]

    def _said(self, outcome: Outcome) -> Iterator[Difference]:
        since = self._recorded.since[Topic.EVENTS]
        for id_, now in outcome.events.items():
            self._heard.add(id_)
            then = self._recorded.events.get(id_)
            if then is not None or outcome.record.timestamp_ms >= since:
                yield from _of_event(then, now)

    def _wanted(self, outcome: Outcome) -> Iterator[Difference]:
        since = self._recorded.since[Topic.ACTIONS]
        for id_, now in outcome.actions.items():
            self._asked.add(id_)
            then = self._recorded.actions.get(id_)
            if then is not None or outcome.record.timestamp_ms >= since:
                yield from _of_action(then, now)

    def _put_aside(self, outcome: Outcome) -> Iterator[Difference]:
        then, now = self._recorded.letters.get(outcome.record.offset), outcome.letter
        known = then is not None or outcome.record.timestamp_ms >= self._recorded.since[Topic.DEAD_LETTERS]
        if known and (then and then.reason) != (now and now.reason):
            yield Difference("dead_letter", "record", _told(then), _told(now))

    def _became(self, outcome: Outcome, call: _Call) -> Iterator[Difference]:
        """Fields of the state that differ now and did not before, or differ in another way."""
        then = self._states.get((outcome.call_id, outcome.record.offset))
        if then is None:
            return
        now = self._rerun.final(outcome.call_id)
        differing = dict(fields(msgspec.json.decode(then), msgspec.json.decode(now) if now is not None else None))
        for path, pair in differing.items():
            if call.standing.get(path) != pair:
                yield Difference("state", path, *pair)
        call.standing = differing

    def _only_then(self) -> None:
        """What was said then and is not now."""
        for one, then in self._recorded.events.items():
            if one not in self._heard and self._is_expected(one):
                cause = msgspec.json.decode(then, type=_Event).data.cause
                lost = [msgspec.structs.replace(each, cause=cause) for each in _of_event(then, None)]
                self._calls[one.call_id].differences += lost
        for one, then in self._recorded.actions.items():
            if one not in self._asked and self._is_expected(one):
                self._calls[one.call_id].differences += _of_action(then, None)
        for call_id, call in self._calls.items():
            states = self._recorded.states.get(call_id, ())
            if states and states[-1].encoded is None and self._rerun.final(call_id) is not None:
                call.differences.append(Difference("state", "call", "forgotten", "still there"))

    def _is_expected(self, one: Said) -> bool:
        """Whether the call was stepped from before the time when this was said. Results do not tell when."""
        if one.call_id not in self._calls:
            return False
        resumed = self._rerun.resumed.get(one.call_id)
        if resumed is None:
            return True
        first = msgspec.json.decode(self._states[one.call_id, resumed], type=_Version).version
        version = one.id.removeprefix(f"{one.call_id}.").partition(".")[0]
        return version.isdigit() and int(version) > first


class _Data(msgspec.Struct, frozen=True):
    cause: str | None = None


class _Event(msgspec.Struct, frozen=True):
    data: _Data = _Data()


class _Typed(msgspec.Struct, frozen=True):
    type: str = ""


class _Version(msgspec.Struct, frozen=True):
    version: int = 0


def _of_event(then: bytes | None, now: bytes | None) -> list[Difference]:
    type_ = msgspec.json.decode(then or now or b"", type=_Typed).type
    kind = "result" if type_ == RESULT_TYPE else "event"
    name = "command" if kind == "result" else type_.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX)
    return _of(kind, name, then, now)


def _of_action(then: bytes | None, now: bytes | None) -> list[Difference]:
    return _of("action", msgspec.json.decode(then or now or b"", type=_Typed).type, then, now)


def _of(kind: str, name: str, then: bytes | None, now: bytes | None) -> list[Difference]:
    """One difference for a thing that is there only then or only now, one for each field that is another."""
    if then is None or now is None:
        one = msgspec.json.decode(then or now or b"")
        text = _text(one.get("data", one) if kind in {"event", "result"} else one)
        return [Difference(kind, name, None if then is None else text, None if now is None else text)]
    differing = fields(msgspec.json.decode(then), msgspec.json.decode(now))
    return [Difference(kind, f"{name} {path}".strip(), *pair) for path, pair in differing]


def fields(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, tuple[str | None, str | None]]]:  # noqa: ANN401 JSON
    """Where two JSON values differ: path and both values as text, None for one that is not there."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            inner = f"{path}.{key}" if path else str(key)
            if key in then and key in now:
                yield from fields(then[key], now[key], inner)
            else:
                yield inner, (_text(then[key]) if key in then else None, _text(now[key]) if key in now else None)
    elif isinstance(then, list) and isinstance(now, list):
        for i in range(max(len(then), len(now))):
            inner = f"{path}[{i}]"
            if i < len(then) and i < len(now):
                yield from fields(then[i], now[i], inner)
            else:
                yield inner, (_text(then[i]) if i < len(then) else None, _text(now[i]) if i < len(now) else None)
    elif then != now:
        yield path, (_text(then), _text(now))


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _told(letter: Letter | None) -> str | None:
    return None if letter is None else f"{letter.reason}: {letter.detail}"
