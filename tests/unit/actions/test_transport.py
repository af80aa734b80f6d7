"""The transport: its URLs, time-outs, classes of failure, and what it tells of an answer."""

import asyncio
import socket
from unittest.mock import patch

import aiohttp
import pytest
from prometheus_client import REGISTRY
from twilio.rest import Client

from action_bench import config_for
from actions.account import TwilioAccount
from actions.heard import TOO_LATE, Answer, RequestFailedError, Silence
from actions.transport import Timeouts, Transport, asked, beginning_within, silence_of
from fake_twilio import ACCOUNT, CALL_1, TOKEN, FakeTwilio, Reply, call, call_path, participant, participant_path
from free_ports import free_ports

HANG_UP = call_path(CALL_1)


async def hang_up(account: TwilioAccount) -> Answer:
    """One request through the library."""
    _, answer = await asked("calls.update", account.client.calls(CALL_1).update_async(status="completed"))
    return answer


def counted(operation: str, outcome: str) -> float:
    """A figure as it stands now."""
    return (
        REGISTRY.get_sample_value("cordboard_twilio_requests_total", {"operation": operation, "outcome": outcome})
        or 0.0
    )


async def heard_of(api_url: str, total_s: float = 5.0) -> Answer | Silence:
    """What is heard of a hang-up that fails."""
    config = config_for(api_url, total_s=total_s)
    async with TwilioAccount(config.accounts[0], config) as account:
        with pytest.raises(RequestFailedError) as failed:
            await hang_up(account)
    return failed.value.heard


async def test_an_error_tells_code_retry_after_and_request_id(twilio: FakeTwilio) -> None:
    """What the library's exceptions leave out is there."""
    body = {"code": 20429, "message": "x", "status": 429}
    twilio.on("POST", HANG_UP, Reply(429, body, {"Retry-After": "1.5", "Twilio-Request-Id": "RQ1"}))
    assert await heard_of(twilio.url) == Answer(status=429, code=20429, retry_after_s=1.5, request_id="RQ1")


async def test_a_problem_document_tells_its_code(twilio: FakeTwilio) -> None:
    """RFC 9457 bodies raise another exception of the library, a sibling: both are heard."""
    body = {"type": "about:blank", "title": "Nope", "status": 400, "code": 16024}
    twilio.on("POST", HANG_UP, Reply(400, body))
    assert await heard_of(twilio.url) == Answer(status=400, code=16024)


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "", '{"code": "many"}', "[1]"])
async def test_an_error_body_that_is_no_json_has_no_code(twilio: FakeTwilio, body: str) -> None:
    """A gateway's page is an answer all the same."""
    twilio.on("POST", HANG_UP, Reply(502, body))
    assert await heard_of(twilio.url) == Answer(status=502)


async def test_a_success_that_cannot_be_read_says_so(twilio: FakeTwilio) -> None:
    """200 with a broken body is no success of the library's, and no refusal of Twilio's."""
    twilio.on("POST", HANG_UP, Reply(200, "<html>"))
    assert await heard_of(twilio.url) == Answer(status=200, readable=False)


async def test_a_failed_list_is_heard_too(twilio: FakeTwilio) -> None:
    """Lists raise the library's base exception, without a status; ours has it."""
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        with pytest.raises(RequestFailedError) as failed:
            await asked("conferences.list", account.client.conferences.list_async(limit=1))
    assert failed.value.heard == Answer(status=404, code=20404)


async def test_a_refused_connection_has_written_nothing() -> None:
    """Nobody listens: nothing can have happened."""
    (port,) = free_ports(1)
    assert await heard_of(f"http://127.0.0.1:{port}") == Silence(cause="connect", written=False)


async def test_a_failed_tls_handshake_has_written_nothing(twilio: FakeTwilio) -> None:
    """The request is only written once the handshake stands."""
    heard = await heard_of(twilio.url.replace("http://", "https://"))
    assert isinstance(heard, Silence)
    assert not heard.written


async def test_a_connection_that_is_not_accepted_has_written_nothing() -> None:
    """A host that does not answer our SYN: the connection's own time-out, and nothing written."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = []
        for _ in range(4):  # Linux accepts backlog + 1 without accept(); the rest hangs in SYN
            filler = socket.socket()
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        heard = await heard_of(f"http://127.0.0.1:{port}")
        for filler in fillers:
            filler.close()
    assert heard == Silence(cause="connect_timeout", written=False)


async def test_no_answer_in_time_is_doubtful(twilio: FakeTwilio) -> None:
    """After the write, silence proves nothing."""
    never = asyncio.Event()
    twilio.on("POST", HANG_UP, Reply(200, {}, after=never.wait))
    heard = await heard_of(twilio.url, total_s=0.1)
    never.set()
    assert heard == Silence(cause="timeout", written=True)


async def test_a_connection_that_breaks_after_the_write_is_doubtful(twilio: FakeTwilio) -> None:
    """The request arrived and no answer came."""
    twilio.on("POST", HANG_UP, Reply(0))
    assert await heard_of(twilio.url) == Silence(cause="reset", written=True)
    assert len(twilio.requests) == 1


async def test_a_request_whose_time_is_over_is_not_written(twilio: FakeTwilio) -> None:
    """The deadline is looked at again right before the write."""
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        with beginning_within(-0.001), pytest.raises(RequestFailedError) as failed:
            await hang_up(account)
    assert failed.value.heard == Silence(cause=TOO_LATE, written=False)
    assert twilio.requests == []


async def test_a_connection_is_not_waited_for_beyond_the_deadline() -> None:
    """Getting one is part of the time: with none, nothing was written, however patient the client is else."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        transport = Transport(f"http://127.0.0.1:{full.getsockname()[1]}", Timeouts(total_s=600, connect_s=600), 1)
        with beginning_within(0.2), pytest.raises(RequestFailedError) as failed:
            await transport.request("POST", "https://api.twilio.com/x")
        await transport.session.close()
        for filler in fillers:
            filler.close()
    assert failed.value.heard == Silence(cause="connect_timeout", written=False)


async def test_what_is_half_done_is_in_doubt(twilio: FakeTwilio) -> None:
    """An action of two requests whose second one came too late, or nowhere: the first one has arrived."""
    twilio.on("POST", HANG_UP, Reply(200, call(CALL_1)))
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        loop = asyncio.get_running_loop()
        later = loop.time() + 11
        with beginning_within(10.0):
            await hang_up(account)
            with patch.object(loop, "time", lambda: later), pytest.raises(RequestFailedError) as failed:
                await hang_up(account)
    assert failed.value.heard == Silence(cause=TOO_LATE, written=True)
    assert len(twilio.requests) == 1


async def test_dns_that_fails_has_written_nothing() -> None:
    """No address, no request."""
    key = aiohttp.client_reqrep.ConnectionKey("x.invalid", 443, True, True, None, None, None)  # noqa: FBT003 - theirs
    error = aiohttp.ClientConnectorDNSError(key, OSError("no such host"))
    assert silence_of(error) == Silence(cause="dns", written=False)


async def test_nothing_is_repeated_by_the_library(twilio: FakeTwilio) -> None:
    """A 503 is heard once: the library's retries, which repeat POSTs, are not there."""
    twilio.on("POST", HANG_UP, Reply(503, {"code": 20503, "status": 503}))
    assert await heard_of(twilio.url) == Answer(status=503, code=20503)
    assert len(twilio.requests) == 1


async def test_a_redirect_is_not_followed(twilio: FakeTwilio) -> None:
    """A redirected POST would lose its form."""
    twilio.on("POST", HANG_UP, Reply(302, {}, {"Location": f"{twilio.url}/elsewhere"}))
    assert await heard_of(twilio.url) == Answer(status=302, readable=False)
    assert len(twilio.requests) == 1


async def test_every_product_follows_the_api_url(twilio: FakeTwilio) -> None:
    """TaskRouter goes to the same place, below a path prefix if there is one, and says whom it meant."""
    transport = Transport(f"{twilio.url}/prefix/", Timeouts(), 2)
    client = Client("user", "secret", ACCOUNT, http_client=transport)
    twilio.on("GET", "/prefix/v1/Workspaces/WS1/Tasks/WT1", Reply(200, {"sid": "WT1"}))
    task, answer = await asked("tasks.fetch", client.taskrouter.v1.workspaces("WS1").tasks("WT1").fetch_async())
    await transport.session.close()
    assert (task.sid, answer.status) == ("WT1", 200)
    assert twilio.requests[0].headers["X-Orig-Host"] == "taskrouter.twilio.com"


async def test_names_in_paths_are_escaped_once(twilio: FakeTwilio) -> None:
    """A label with an odd character arrives as the library wrote it."""
    path = participant_path("a%20b%25")
    twilio.on("GET", path, Reply(200, participant(CALL_1)))
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        room = account.client.conferences("CF00000000000000000000000000000001")
        await asked("participants.fetch", room.participants("a b%").fetch_async())
    assert [request.path for request in twilio.requests] == [path]


async def test_requests_are_counted_by_operation_and_class(twilio: FakeTwilio) -> None:
    """Every request leaves a figure, failures by what they were."""
    twilio.on("POST", HANG_UP, Reply(200, call(CALL_1)), Reply(0), Reply(429))
    before = [counted("calls.update", outcome) for outcome in ("2xx", "reset", "429")]
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        await hang_up(account)
        for _ in range(2):
            with pytest.raises(RequestFailedError):
                await hang_up(account)
    after = [counted("calls.update", outcome) for outcome in ("2xx", "reset", "429")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


async def test_a_session_is_reused(twilio: FakeTwilio) -> None:
    """One pooled session: the second request goes over the first one's connection, with the same credentials."""
    twilio.on("POST", HANG_UP, Reply(200, call(CALL_1)))
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        await hang_up(account)
        await hang_up(account)
    assert {request.headers["Authorization"] for request in twilio.requests} == {
        aiohttp.encode_basic_auth(ACCOUNT, TOKEN)
    }
