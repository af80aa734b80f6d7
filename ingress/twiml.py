"""The TwiML that we answer with. Pure: it depends on the request and the configuration alone (twilio-facts.md 4).

Written by an XML writer, never from strings; characters that XML forbids are left out. Which document a route gets, and
when, is decided in `ingress.app`.
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import msgspec

from schemas.ids import CallId, LegId, room_of
from schemas.policy import Policy
from schemas.prompts import Prompt
from schemas.routes import CONFERENCE_EVENTS, OUT_OF_ROOM_S, Route, callback_url
from schemas.targets import ENQUEUE

MAX_BYTES = 64_000
"""Twilio refuses more than 64 kB of TwiML (11750)."""

DEFAULT_MUSIC = "http://com.twilio.music.classical.s3.amazonaws.com/BusyStrings.mp3"
"""From Twilio's own classical playlist. Plain http: the bucket's name has dots, which no certificate covers."""

PLEASE_HOLD_S = 2
VOICEMAIL_MAX_S = 180
BROWSER_LEG = "agent-1"
CALLER_LEG = "customer-1"
QUEUE = "queue"
"""What a call has been answered that waits in TaskRouter's own queue."""
CALL_OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_URL = re.compile(r"^https?://", re.IGNORECASE)


def first_leg(sender: str) -> LegId:
    """The leg that a call begins with: a browser's is an agent's, any other is the customer's."""
    return BROWSER_LEG if sender.startswith("client:") else CALLER_LEG


def into_room(
    public_url: str, call_id: CallId, leg: LegId, policy: Policy, whisper: Prompt | None = None, room: str | None = None
) -> bytes:
    """A leg hears `whisper`, if there is one, and enters `room`, else the first room of its call.

    Only a customer hears wait music: anybody else who is alone in the room waits for a ringing phone. Twilio keeps the
    conference callback of whoever is first, so its URL names the call and never the leg, and every join subscribes to
    the same events (twilio-facts.md 2.5). The leg never ends the room by leaving: the engine sets that once it is safe.
    """
    response = ET.Element("Response")
    if whisper is not None:
        _prompt(response, whisper)
    music = leg.startswith("customer-")
    wait_url = callback_url(public_url, Route.WAIT, call=call_id, leg=leg, audio=policy.wait_audio) if music else ""
    dial = ET.SubElement(response, "Dial", action=callback_url(public_url, Route.DIAL_ACTION, call=call_id, leg=leg))
    conference = ET.SubElement(
        dial,
        "Conference",
        participantLabel=leg,
        beep="false",
        startConferenceOnEnter="true",
        endConferenceOnExit="false",
        waitUrl=wait_url,
        statusCallback=callback_url(public_url, Route.CONFERENCE, call=call_id),
        statusCallbackEvent=" ".join(CONFERENCE_EVENTS),
    )
    conference.text = room or room_of(call_id)
    return document(response)


def with_audio_of(query: Mapping[str, str], policy: Policy) -> Policy:
    """The policy for new calls, with the wait audio of the one that a call began with, where its URL carries it."""
    audio = query.get("audio")
    return policy if audio is None else msgspec.structs.replace(policy, wait_audio=audio)


def into_queue(public_url: str, call_id: CallId, workflow_sid: str, policy: Policy) -> bytes:
    """A caller is put into TaskRouter's own queue, with a task that carries the queue's name and the call.

    TaskRouter makes the conference; our answer to its assignment callback says how. The action is explicit, so that a
    caller who hangs up, or is not taken, is told of.
    """
    response = ET.Element("Response")
    leg = CALLER_LEG
    queue = policy.route[0].removeprefix(ENQUEUE)
    enqueue = ET.SubElement(
        response,
        "Enqueue",
        workflowSid=workflow_sid,
        action=callback_url(public_url, Route.ENQUEUE_ACTION, call=call_id, leg=leg),
        method="POST",
        waitUrl=callback_url(public_url, Route.WAIT, call=call_id, leg=leg, audio=policy.wait_audio),
        waitUrlMethod="POST",
    )
    ET.SubElement(enqueue, "Task").text = msgspec.json.encode({"queue": queue, "call_id": call_id}).decode()
    return document(response)


def waiting(audio: str | None, self_url: str) -> bytes:
    """What is heard until it is ended from outside: `audio` (a URL, or a text), else Twilio's music.

    Endless, because Twilio does not loop the documents of a conference (twilio-facts.md 4.2).
    """
    response = ET.Element("Response")
    if audio is None or _URL.match(audio):
        ET.SubElement(response, "Play", loop="0").text = _clean(audio or DEFAULT_MUSIC)
    else:
        ET.SubElement(response, "Say").text = _clean(audio)
        ET.SubElement(response, "Pause", length="10")
        ET.SubElement(response, "Redirect", method="POST").text = self_url
    return document(response)


def prompt_once(prompt: Prompt | None) -> bytes:
    """A text or an audio file once: announcements and whispers. Nothing for None."""
    response = ET.Element("Response")
    if prompt is not None:
        _prompt(response, prompt)
    return document(response)


def last_words(prompt: Prompt) -> bytes:
    """A text or an audio file, and the end of this leg."""
    response = ET.Element("Response")
    _prompt(response, prompt)
    ET.SubElement(response, "Hangup")
    return document(response)


def voicemail(left_url: str, prompt: Prompt | None) -> bytes:
    """A prompt, a tone, and what is said after it is recorded; `left_url` is told of it.

    The action is explicit, or Twilio would ask for this document again and again (twilio-facts.md 4.3).
    """
    response = ET.Element("Response")
    if prompt is not None:
        _prompt(response, prompt)
    ET.SubElement(response, "Record", action=left_url, method="POST", maxLength=str(VOICEMAIL_MAX_S), playBeep="true")
    ET.SubElement(response, "Hangup")
    return document(response)


def out_of_room(call_status: str) -> bytes:
    """A leg has come out of its conference. One whose call is up stays on the line for the engine to say where to.

    It hangs up whom it wants gone, and lets whom it has lost with a conference into a fresh one. If nothing is said in
    time the leg ends.
    """
    if call_status in CALL_OVER:
        return hang_up()
    response = ET.Element("Response")
    ET.SubElement(response, "Pause", length=str(OUT_OF_ROOM_S))
    ET.SubElement(response, "Hangup")
    return document(response)


def hang_up() -> bytes:
    """End of this leg: it can be placed nowhere, or is over."""
    response = ET.Element("Response")
    ET.SubElement(response, "Hangup")
    return document(response)


def please_hold(self_url: str) -> bytes:
    """The log is not there: stay on the line and ask the same again in two seconds."""
    response = ET.Element("Response")
    ET.SubElement(response, "Pause", length=str(PLEASE_HOLD_S))
    ET.SubElement(response, "Redirect", method="POST").text = self_url
    return document(response)


def prompt_of(query: Mapping[str, str]) -> Prompt | None:
    """The prompt that a query asks for by `say` or `play`. Raises `ValueError` for what is no prompt."""
    say, play = query.get("say"), query.get("play")
    return None if say is None and play is None else Prompt(say=say, play=play)


def _prompt(parent: ET.Element, prompt: Prompt) -> None:
    verb, text = ("Say", prompt.say) if prompt.play is None else ("Play", prompt.play)
    ET.SubElement(parent, verb).text = _clean(text or "")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)


def document(response: ET.Element) -> bytes:
    """An element as the bytes that Twilio is given."""
    text: str = ET.tostring(response, encoding="unicode")
    return _DECLARATION + text.encode()
