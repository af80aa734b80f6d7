"""An account's session: whose credentials it sends, who calls, and that nothing leaks in from outside."""

import aiohttp
import pytest

from action_bench import config_for, dial, hang_up
from actions.account import TwilioAccount
from actions.heard import Answer, RequestFailedError
from actions.twilio import carry_out
from cordboard.accounts import Account
from fake_twilio import ACCOUNT, CALL_1, TOKEN, FakeTwilio, Reply, call, call_path, participant, participants_path


async def test_nobody_is_dialled_without_a_caller_id(twilio: FakeTwilio) -> None:
    """Without a number of ours a phone is refused before anything is sent; a browser may be called by anybody."""
    config = config_for(twilio.url)
    async with TwilioAccount(Account(sid=ACCOUNT, auth_tokens=(TOKEN,)), config) as account:
        with pytest.raises(RequestFailedError) as refused:
            await carry_out(account, dial())
        assert refused.value.heard == Answer(status=400, code=21213)
        assert twilio.requests == []
        twilio.on("POST", participants_path("room-call-1"), Reply(201, participant(CALL_1, "target-1")))
        await carry_out(account, dial(to="client:agent-7"))
        assert twilio.requests[0].field("From") == "client:cordboard"


async def test_the_sdks_environment_does_not_leak_in(twilio: FakeTwilio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, edge and credentials of the environment change nothing: only our settings count."""
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000066")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "leaked")
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    config = config_for(twilio.url)
    async with TwilioAccount(config.accounts[0], config) as account:
        await carry_out(account, hang_up(1))
    (request,) = twilio.requests
    assert request.headers["X-Orig-Host"] == "api.twilio.com"
    assert request.headers["Authorization"] == aiohttp.encode_basic_auth(ACCOUNT, TOKEN)


async def test_an_api_key_signs_instead_of_the_token(twilio: FakeTwilio) -> None:
    """With a key and its secret the token stays at home; the path still names the account."""
    twilio.on("POST", call_path(CALL_1), Reply(200, call(CALL_1)))
    keyed = Account(sid=ACCOUNT, auth_tokens=(TOKEN,), api_key="SK1", api_secret="secret", number="+15551230000")
    async with TwilioAccount(keyed, config_for(twilio.url)) as account:
        await carry_out(account, hang_up(1))
    assert twilio.requests[0].headers["Authorization"] == aiohttp.encode_basic_auth("SK1", "secret")
