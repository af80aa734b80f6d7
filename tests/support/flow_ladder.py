"""A played flow as a Mermaid sequence diagram: what was said on the wires, in the order in which it happened.

Left out, because they tell nothing about the flow: callback URLs and subscriptions in REST requests, what the engine
ignored and the flags that it saw changed (`fact.ignored`, `leg.modified`; the timeline below each diagram has them).
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from emulator.journal import Exchange, RestRequest
from flow_play import Act, Played, Sent
from flow_stage import Record, Told, instant
from stack import Json

_SERVICE, _OURS, _TWILIO = "Your service", "Cordboard", "Twilio"
_ALIASES = {_SERVICE: "S", _OURS: "C", _TWILIO: "T"}
_UNTOLD = {"fact.ignored", "leg.modified"}
_DULL = re.compile(
    r"(Conference)?(Recording)?StatusCallback.*|.*Method|Beep|WaitUrl|EarlyMedia|StartConferenceOnEnter|From"
)
_TELLING = ("ReasonParticipantLeft", "AnsweredBy", "RecordingStatus", "Digits", "Result", "DialCallStatus")
_REPORTED_S = 0.001
_SAME_S = 0.0005
_LEG_ORDER = ("customer", "agent", "target", "third", "ai", "supervisor")
_LEG = re.compile(rf"\b(?:{'|'.join(_LEG_ORDER)})_\d+\b")


def ladder(played: Played) -> list[str]:
    """The lines of the diagram."""
    told = _events_by_cause(played)
    lines: list[tuple[float, int, list[str]]] = []
    matched: set[int] = set()
    for record in played.records:
        at_s, said = _of_record(played, record, matched)
        lines.append((at_s, 1, [*said, *_events(told.get(record.id, []))]))
    rest = [(entry.at, 0, _request(played, entry)) for entry in played.rest]
    acts = [(act.at_s, 0, [_act(act)]) for act in played.acts]
    loose = [(one.at_s, 0, _fetch(played, one.exchange)) for i, one in enumerate(played.told) if i not in matched]
    ordered = sorted([*lines, *rest, *acts, *loose], key=lambda line: line[:2])
    note = [f"Note over T,C: {played.begins_with}"] if played.begins_with else []
    body = [safe(line) for at_s, _, group in ordered if at_s >= played.begins_s for line in group]
    return ["sequenceDiagram", *(f"  {line}" for line in (*_participants(body), *note, *body))]


def typed(sent: Sent) -> str:
    """A command line as a reader would type it."""
    call = [] if sent.name == "call.dial" else ["--call", "$CALL"]
    quoted = [f"'{word}'" if re.search(r"[\s{}?&]", word) else word for word in sent.words]
    return " ".join(["cordboard", "send", sent.name, *call, *quoted, *sent.wait])


def _act(act: Act) -> str:
    return f"{_alias(act.who)}->>T: {act.does}" if act.who else f"Note over T,C: {act.does}"


def _participants(body: Iterable[str]) -> Iterator[str]:
    spoken = {word for line in body for word in _LEG.findall(line)}
    for leg in sorted(spoken, key=lambda leg: (_LEG_ORDER.index(leg.split("_")[0]), leg)):
        yield f"actor {leg} as {leg.replace('_', '-')}"
    for name in (_TWILIO, _OURS, _SERVICE):
        yield f"participant {_ALIASES[name]} as {name}"


def _alias(leg: str) -> str:
    return leg.replace("-", "_")


def safe(line: str) -> str:
    """A line without what Mermaid would take for its own: `;` and `#` end a message."""
    return line.replace(";", ",").replace("#", "no. ")


# -- what Cordboard took ----------------------------------------------------------------------------------------------


def _of_record(played: Played, record: Record, matched: set[int]) -> tuple[float, list[str]]:
    body = record.body
    match body["kind"]:
        case "webhook":
            number = _exchange_of(played.told, body["params"], matched)
            if number is None:
                return record.at_s, []
            matched.add(number)
            return played.told[number].at_s, _fetch(played, played.told[number].exchange)
        case "command":
            return record.at_s, [f"S->>C: {body['name']} {_short(body['data'])}".rstrip()]
        case "timer":
            return record.at_s, [f"Note over C: the timer {body['name']} falls due"]
        case _:
            return record.at_s + _REPORTED_S, []


def _exchange_of(told: list[Told], params: dict[str, str], matched: set[int]) -> int | None:
    for number, one in enumerate(told):
        if number not in matched and params.items() <= one.exchange.params.items():
            return number
    return None


def _short(data: Json) -> str:
    return " ".join(f"{name}={_value(value)}" for name, value in data.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_value(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else str(value)


# -- what Twilio said -------------------------------------------------------------------------------------------------


def _fetch(played: Played, exchange: Exchange) -> list[str]:
    path, params = urlsplit(exchange.url).path, exchange.params
    leg = played.legs.get(params.get("CallSid") or params.get("DialCallSid", ""), "")
    words = [exchange.event, leg]
    if exchange.event in {"completed", "participant-leave"} or exchange.kind == "call":
        words += [params.get("CallStatus", "") if params.get("CallStatus") != exchange.event else ""]
    words += [params.get(name, "") for name in _TELLING]
    lines = [f"T->>C: {path} {' '.join(word for word in words if word)}".rstrip()]
    if exchange.event in {"ringing", "call-ringing"} and leg:
        lines.insert(0, f"T->>{_alias(leg)}: rings")
    if exchange.kind == "assignment":
        instruction = json.loads(exchange.body or "{}").get("instruction", "none: by REST")
        return [*lines, f"C-->>T: instruction {instruction}"]
    return [*lines, f"C-->>T: TwiML {_verbs(exchange.body)}"] if exchange.body else lines


def _verbs(body: str) -> str:
    found = re.findall(r"<(?!Response|/|\?)(\w+)", body)
    return ", ".join(found) or "empty"


# -- what Cordboard asked for -----------------------------------------------------------------------------------------


def _request(played: Played, entry: RestRequest) -> list[str]:
    path = re.sub(r"^/(2010-04-01/Accounts/AC|v1/Workspaces/WS)\w+/", "", entry.path).removesuffix(".json")
    words = [_named(played, part) for part in path.split("/")]
    creates = words[-1] == "Participants"
    fields = [
        f"{name}={_field(played, value)}" for name, value in entry.form if not _dull(name, value, creates=creates)
    ]
    lines = [f"C->>T: {entry.method} {'/'.join(words)} {' '.join(fields)}".rstrip()]
    if entry.status >= 400:
        lines.append(f"T-->>C: {entry.status} {entry.code or ''}".rstrip())
    return lines


def _dull(name: str, value: str, *, creates: bool) -> bool:
    return _DULL.fullmatch(name) is not None or (creates and (name, value) == ("Muted", "false"))


def _named(played: Played, part: str) -> str:
    if part.startswith(("CF", "room-")):
        return "the room"
    if re.match(r"room\d-", part):
        return "the next room"
    return played.legs.get(part, re.sub(r"^(CA|RE|WT|WR|WW)\w{32}$", r"\1…", part))


def _field(played: Played, value: str) -> str:
    if value.startswith("http"):
        return urlsplit(value).path
    if value.startswith("{"):
        return ",".join(sorted(json.loads(value)))
    return _named(played, value)


# -- what is told -----------------------------------------------------------------------------------------------------


def _events_by_cause(played: Played) -> dict[str, list[Json]]:
    """Events under the record that caused them. A result names its command alone: its time is that of its cause."""
    found: dict[str, list[Json]] = {}
    ids = [record.id for record in played.records]
    last = 0
    for event in played.events:
        cause = event["data"].get("cause")
        last = ids.index(cause) if cause in ids else _at(played.records, instant(event), last)
        found.setdefault(ids[last], []).append(event)
    return found


def _at(records: list[Record], at_s: float, last: int) -> int:
    """The record taken at an instant; `last` is where the event before belongs."""
    taken = [number for number, record in enumerate(records) if abs(record.body["at"] / 1000 - at_s) < _SAME_S]
    return last if last in taken or not taken else min(taken, key=lambda number: (number < last, number))


def _events(events: list[Json]) -> list[str]:
    told = [text for event in events if (text := _told(event))]
    return [f"C-->>S: {'<br/>'.join(told)}"] if told else []


def _told(event: Json) -> str:
    data = event["data"]
    if event["type"] == "cordboard.result.v1":
        name = data["command_type"].removeprefix("cordboard.command.").removesuffix(".v1")
        return f"result: {name} {data['outcome']}" + (f" ({data['reason']})" if data["reason"] else "")
    name = event["type"].removeprefix("cordboard.event.").removesuffix(".v1")
    if name in _UNTOLD:
        return ""
    who = data.get("leg") if name.startswith(("leg.", "hold.")) else data.get("transfer")
    why = f"({data['reason']})" if data.get("reason") else ""
    return " ".join(word for word in (name, who, why) if word)
