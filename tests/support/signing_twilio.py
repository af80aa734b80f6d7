"""Somebody who signs like Twilio and calls an ingress that serves, and what the log in memory holds afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from urllib.parse import urlencode

import aiohttp
import msgspec
from twilio.request_validator import RequestValidator
from yarl import URL

from cordboard.log.memory import MemoryLog
from cordboard.log.port import Log, Record
from ingress.app import IngressConfig, serve_ingress
from ingress.recorder import Recorder
from schemas.codec import decode_inbox
from schemas.records import Inbox
from schemas.topics import Topic

PUBLIC_URL = "https://calls.example.com/twilio"
ACCOUNT = "AC" + "a" * 32
TOKEN = "token-of-the-account"
CALL = "CA" + "b" * 32
NOW_MS = 1_795_000_000_000

VOICE = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+15550177", "To": "+15550100", "CallStatus": "ringing"}
STATUS = {**VOICE, "CallStatus": "completed", "SequenceNumber": "3", "FromCity": ""}
CONFERENCE = {
    "AccountSid": ACCOUNT,
    "ConferenceSid": "CF" + "c" * 32,
    "FriendlyName": f"room-{CALL}",
    "StatusCallbackEvent": "participant-join",
    "SequenceNumber": "1",
    "CallSid": CALL,
}


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    text: str
    headers: dict[str, str]


class Twilio:
    """Signs as Twilio does, over the public URL, and sends to where the ingress really is."""

    def __init__(self, session: aiohttp.ClientSession, port: int, prefix: str = "") -> None:
        self.session = session
        self.port = port
        self._base = f"http://127.0.0.1:{port}{prefix}"

    async def post(self, target: str, fields: dict[str, str], token: str = TOKEN, **headers: str) -> Answer:
        """A signed POST of a form."""
        signature = RequestValidator(token).compute_signature(PUBLIC_URL + target, fields)
        body = urlencode(fields).encode()
        return await self.send("POST", target, body, {"X-Twilio-Signature": signature, **headers})

    async def get(self, target: str, fields: dict[str, str]) -> Answer:
        """A signed GET: the fields stand in the query."""
        full = f"{target}{'&' if '?' in target else '?'}{urlencode(fields)}"
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + full, {})
        return await self.send("GET", full, None, {"X-Twilio-Signature": signature})

    async def signed_json(self, target: str, body: bytes, sent: bytes) -> Answer:
        """A POST of JSON, signed for `body` by its hash in the query; `sent` is what goes over the wire."""
        full = f"{target}?bodySHA256={sha256(body).hexdigest()}"
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + full, {})
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
        return await self.send("POST", full, sent, headers)

    def prefixed(self) -> "Twilio":
        """The same, with nothing in between that takes the path prefix off."""
        return Twilio(self.session, self.port, prefix="/twilio")

    async def send(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Any request; a body is a form unless a header says otherwise."""
        every = {"Content-Type": "application/x-www-form-urlencoded", **headers} if body is not None else headers
        url = URL(self._base + target, encoded=True)
        async with self.session.request(method, url, data=body, headers=every, allow_redirects=False) as response:
            return Answer(response.status, await response.text(), dict(response.headers))


class Inboxes:
    """What the log holds."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log

    def of(self, topic: Topic) -> list[Record]:
        """All records of a topic."""
        return [record for p in range(self.log.partitions) for record in self.log.records(topic, p)]

    @property
    def records(self) -> list[Inbox]:
        """The inbox records."""
        return [decode_inbox(record.value or b"") for record in self.of(Topic.INBOX)]

    @property
    def dead(self) -> list[Record]:
        """The dead letters."""
        return self.of(Topic.DEAD_LETTERS)


@asynccontextmanager
async def calling(config: IngressConfig, log: Log, recorder: Recorder | None = None) -> AsyncIterator[Twilio]:
    """Twilio, calling an ingress that serves."""
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        serve_ingress(config, log, lambda: NOW_MS, recorder) as port,
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
    ):
        yield Twilio(session, port)
