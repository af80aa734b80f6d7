"""The ingress over real sockets: damaged requests, signed and not, to one that serves."""

import asyncio
from collections.abc import Iterable

import psutil

from cordboard.accounts import Account, Accounts
from cordboard.log.memory import MemoryLog
from fuzzing.mutation import damaged, random_of
from fuzzing.samples import BODIES, TARGET_PATHS
from fuzzing.surfaces import ACCOUNT, PUBLIC_URL, TOKEN
from ingress.app import IngressConfig
from ingress.forms import joined, parse_form, readable
from ingress.signature import compute_signature
from schemas.codec import decode_inbox, encode
from schemas.records import Webhook
from schemas.topics import Topic
from signing_twilio import calling

_AT_ONCE = 16
_HANGS_S = 30.0
_MOST_GROWTH_BYTES = 64 * 1024 * 1024
_CONFIG = IngressConfig(
    public_url=PUBLIC_URL, accounts=Accounts([Account(sid=ACCOUNT, auth_tokens=(TOKEN,))]), port=0, body_timeout_s=0.2
)


class Case:
    """A request on the wire, and the form that was signed for it.

    A third of them is damaged before it is signed and reaches deep, a third in its body after that, a third anywhere.
    """

    def __init__(self, number: int) -> None:
        random = random_of(f"wire:{number}")
        self.is_whole = bool(number % 3)
        target, body = random.choice(TARGET_PATHS), random.choice(BODIES)
        if number % 3 == 1:
            body = damaged(random, (body,)) + b"&AccountSid=" + ACCOUNT.encode()
        self.signed = readable(parse_form(body))
        text = (PUBLIC_URL + target + joined(parse_form(body))).encode("utf-8", "surrogateescape")
        signature = compute_signature(TOKEN.encode(), text).decode()
        if number % 3 == 2:
            body = damaged(random, (body,))
        head = (
            f"POST {target} HTTP/1.1\r\nHost: calls.example.com\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        self.request = request if self.is_whole else damaged(random, (request,))


async def wire(numbers: Iterable[int]) -> list[str]:
    """What went wrong, by case. No answer is a server error, nobody waits for ever, and what is recorded was signed."""
    log, gate = MemoryLog(partitions=2), asyncio.Semaphore(_AT_ONCE)
    signed: set[bytes] = set()
    wrong: list[str] = []
    before = psutil.Process().memory_info().rss
    async with calling(_CONFIG, log) as twilio:

        async def one(number: int) -> None:
            async with gate:
                case = Case(number)
                signed.add(encode(case.signed))
                problem = await _problem(twilio.port, case)
                if problem:
                    wrong.append(f"wire:{number}: {problem}")

        await asyncio.gather(*(one(number) for number in numbers))
    records = [record for partition in range(log.partitions) for record in log.records(Topic.INBOX, partition)]
    inbox = [decode_inbox(record.value or b"") for record in records]
    unsigned = [r for r in inbox if not isinstance(r, Webhook) or bytes(r.params) not in signed]
    wrong += [f"wire: {record.id} is in the inbox, and nobody has signed it" for record in unsigned]
    if psutil.Process().memory_info().rss - before > _MOST_GROWTH_BYTES:
        wrong.append("wire: the process has grown without bound")
    return wrong


async def _problem(port: int, case: Case) -> str | None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(_HANGS_S):
            writer.write(case.request)
            if not case.is_whole:
                writer.write_eof()
            line = await reader.readline()
    except TimeoutError:
        return "no answer and no end"
    except ConnectionError:
        return None
    finally:
        writer.close()
    status = int(line.split()[1]) if line else 0
    allowed = status in {0, *range(200, 500)} and (status or not case.is_whole)
    return None if allowed else f"status {status}"
