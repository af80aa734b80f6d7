"""The table of judgements: what an answer, or none, means for each verb."""

import pytest

from actions.heard import Answer, Heard, Silence
from actions.outcome import ENDING, ONCE, Done, Doubtful, Exists, Failed, NotStarted, Retry, Verb, judge, not_before

NOW = 1_000_000
SETTERS = [verb for verb in Verb if verb not in ONCE]
TIMEOUT = Silence(cause="timeout", written=True)
RESET = Silence(cause="reset", written=True)
REFUSED = Silence(cause="connect", written=False)


def judged(verb: Verb, heard: Heard, attempt: int = 1) -> object:
    """The verdict at a fixed moment."""
    return judge(verb, heard, attempt=attempt, now_ms=NOW, action_id="call-1.1.0")


@pytest.mark.parametrize("verb", list(Verb))
def test_a_success_is_done(verb: Verb) -> None:
    """2xx is done for every verb."""
    assert judged(verb, Answer(status=200)) == Done(status=200)


@pytest.mark.parametrize("verb", list(Verb))
def test_429_is_always_tried_again(verb: Verb) -> None:
    """A request refused for its number was never processed, so nothing can have happened."""
    verdict = judged(verb, Answer(status=429, code=20429, retry_after_s=2.5))
    assert verdict == Retry(NOW + 2500, "rate_limited", sent=False, status=429, code=20429)


@pytest.mark.parametrize("verb", list(Verb))
def test_what_was_not_written_is_tried_again(verb: Verb) -> None:
    """A refused connection, DNS or TLS failure is a certain no."""
    verdict = judged(verb, REFUSED)
    assert isinstance(verdict, Retry)
    assert not verdict.sent


@pytest.mark.parametrize("heard", [TIMEOUT, RESET, Answer(status=500, code=20500), Answer(status=503), Answer(502)])
@pytest.mark.parametrize("verb", sorted(ONCE))
def test_a_creation_is_doubtful_after_anything_that_may_have_been_processed(verb: Verb, heard: Heard) -> None:
    """5xx, time-outs and resets after the write prove nothing: a creation is looked for, not repeated."""
    assert isinstance(judged(verb, heard), Doubtful)


@pytest.mark.parametrize("heard", [TIMEOUT, RESET, Answer(status=500, code=20500), Answer(status=503), Answer(502)])
@pytest.mark.parametrize("verb", SETTERS)
def test_what_sets_a_value_is_said_again(verb: Verb, heard: Heard) -> None:
    """The others are repeated; all but a look may have happened, so that a missed deadline is `unknown`."""
    verdict = judged(verb, heard)
    assert isinstance(verdict, Retry)
    assert verdict.sent is (verb is not Verb.LOOK_UP)


@pytest.mark.parametrize("verb", [Verb.CREATE_PARTICIPANT, Verb.CREATE_CALL])
@pytest.mark.parametrize("code", [16025, 16026])
def test_a_taken_label_means_that_it_exists(verb: Verb, code: int) -> None:
    """The label of a leg is used once, so whoever holds it is that leg."""
    assert judged(verb, Answer(status=400, code=code)) == Exists(status=400, code=code)


@pytest.mark.parametrize("verb", sorted(ONCE))
def test_a_creation_whose_answer_says_nothing_is_doubtful(verb: Verb) -> None:
    """201 without a CallSid: it happened, and we do not know what."""
    assert isinstance(judged(verb, Answer(status=201, readable=False)), Doubtful)


@pytest.mark.parametrize("verb", sorted(ENDING))
@pytest.mark.parametrize(("status", "code"), [(404, 20404), (404, None), (400, 21220), (404, 16022), (400, 16001)])
def test_ending_what_has_ended_is_done(verb: Verb, status: int, code: int | None) -> None:
    """A participant, call or conference that has gone is as wanted."""
    assert judged(verb, Answer(status=status, code=code)) == Done(status, code, "already_gone")


@pytest.mark.parametrize("code", [16099, 20001, None])
def test_a_conference_that_has_not_begun_is_emptied_instead(code: int | None) -> None:
    """Twilio answers 400 to the end of a conference in `init`, with one code or another."""
    assert judged(Verb.END_CONFERENCE, Answer(status=400, code=code)) == NotStarted(status=400, code=code)


@pytest.mark.parametrize(
    ("verb", "status", "code", "reason"),
    [
        (Verb.CREATE_PARTICIPANT, 400, 21211, "invalid_number"),
        (Verb.CREATE_PARTICIPANT, 400, 21214, "invalid_number"),
        (Verb.CREATE_CALL, 400, 21217, "invalid_number"),
        (Verb.CREATE_CALL, 400, 21212, "invalid_caller_id"),
        (Verb.CREATE_PARTICIPANT, 400, 21210, "invalid_caller_id"),
        (Verb.CREATE_PARTICIPANT, 403, 21215, "forbidden"),
        (Verb.CREATE_PARTICIPANT, 400, 13227, "forbidden"),
        (Verb.CREATE_PARTICIPANT, 400, 21219, "forbidden"),
        (Verb.CREATE_PARTICIPANT, 401, 20003, "authentication"),
        (Verb.HANG_UP, 401, None, "authentication"),
        (Verb.HANG_UP, 403, 20403, "forbidden"),
        (Verb.CREATE_PARTICIPANT, 400, 16020, "capacity"),
        (Verb.CREATE_PARTICIPANT, 400, 10004, "capacity"),
        (Verb.CREATE_PARTICIPANT, 404, 16022, "not_found"),
        (Verb.CREATE_PARTICIPANT, 400, 16024, "invalid"),
        (Verb.UPDATE_PARTICIPANT, 404, 20404, "not_found"),
        (Verb.UPDATE_PARTICIPANT, 404, None, "not_found"),
        (Verb.UPDATE_PARTICIPANT, 400, 16027, "coached_on_hold"),
        (Verb.UPDATE_PARTICIPANT, 400, 16028, "not_in_conference"),
        (Verb.UPDATE_PARTICIPANT, 400, 20001, "invalid"),
        (Verb.ANNOUNCE_ALL, 404, 20404, "not_found"),
        (Verb.LOOK_UP, 405, 20004, "invalid"),
        (Verb.CREATE_CALL, 422, 20422, "invalid"),
        (Verb.CREATE_CALL, 301, None, "invalid"),
    ],
)
def test_a_refusal_fails_with_a_short_word(verb: Verb, status: int, code: int | None, reason: str) -> None:
    """What Twilio refuses for good is failed, with a reason that the engine can act on."""
    assert judged(verb, Answer(status=status, code=code)) == Failed(reason, status, code)


@pytest.mark.parametrize(("status", "code"), [(409, 20409), (409, None), (412, None), (400, 20162), (400, 15009)])
@pytest.mark.parametrize("verb", [Verb.UPDATE_PARTICIPANT, Verb.HANG_UP, Verb.CREATE_PARTICIPANT])
def test_a_conflict_is_tried_again(verb: Verb, status: int, code: int | None) -> None:
    """Somebody else is changing the resource: it was not carried out, and may be later."""
    verdict = judged(verb, Answer(status=status, code=code))
    assert isinstance(verdict, Retry)
    assert (verdict.reason, verdict.sent) == ("conflict", False)


def test_the_back_off_doubles_up_to_eight_seconds() -> None:
    """0.25 s x 2^n with up to a half of jitter, never over 8 s."""
    delays = [not_before("call-1.1.0", attempt, NOW) - NOW for attempt in range(1, 12)]
    for attempt, delay in enumerate(delays):
        whole = min(250 * 2**attempt, 8000)
        assert whole / 2 <= delay <= whole


def test_the_jitter_is_derived() -> None:
    """The same action waits the same everywhere, and different actions do not wait alike."""
    same = {not_before("call-1.1.0", 3, NOW) for _ in range(10)}
    others = {not_before(f"call-{number}.1.0", 3, NOW) for number in range(10)}
    assert len(same) == 1
    assert len(others) > 5


def test_retry_after_is_honoured_within_reason() -> None:
    """Twilio's word counts, and an absurd one is cut."""
    assert not_before("a", 1, NOW, 1.5) == NOW + 1500
    assert not_before("a", 1, NOW, 1e9) == NOW + 60_000
