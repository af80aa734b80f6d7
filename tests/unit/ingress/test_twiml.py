"""The TwiML that we answer with: what Twilio wants, whatever text is put into it."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress import twiml
from schemas.policy import DEFAULT_POLICY, Policy
from schemas.prompts import Prompt

URL = "https://h/prefix"
RETRY = "#rc=3&rp=all&ct=2000&rt=4000&tt=15000"


def parsed(document: bytes) -> ET.Element:
    """The document, after what holds for all of them."""
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?><Response')
    assert len(document) < twiml.MAX_BYTES
    root = ET.fromstring(document)  # noqa: S314 - our own document
    assert root.tag == "Response"
    return root


def test_room() -> None:
    """Every callback of the room names call and leg and is tried again; the conference's names the call only."""
    root = parsed(twiml.into_room(URL, "c1", "customer-1", DEFAULT_POLICY))
    dial, conference = root[0], root[0][0]
    assert dial.attrib == {"action": f"{URL}/v1/voice/dial-action?call=c1&leg=customer-1{RETRY}"}
    assert conference.text == "room-c1"
    assert conference.attrib == {
        "participantLabel": "customer-1",
        "beep": "false",
        "startConferenceOnEnter": "true",
        "endConferenceOnExit": "false",
        "waitUrl": f"{URL}/v1/voice/wait?call=c1&leg=customer-1{RETRY}",
        "statusCallback": f"{URL}/v1/voice/conference?call=c1{RETRY}",
        "statusCallbackEvent": "start end join leave mute hold modify announcement",
    }


def test_only_customers_hear_music() -> None:
    """An agent alone in the room hears no music; a customer hears what the policy says."""
    assert parsed(twiml.into_room(URL, "c1", "agent-1", DEFAULT_POLICY))[0][0].get("waitUrl") == ""
    policy = Policy(wait_audio="https://a.example/w.mp3")
    wait_url = parsed(twiml.into_room(URL, "c1", "customer-1", policy))[0][0].get("waitUrl")
    assert wait_url == (f"{URL}/v1/voice/wait?call=c1&leg=customer-1&audio=https%3A%2F%2Fa.example%2Fw.mp3{RETRY}")


@pytest.mark.parametrize(("audio", "played"), [(None, twiml.DEFAULT_MUSIC), ("https://a/x?1&2", "https://a/x?1&2")])
def test_music_is_endless(audio: str | None, played: str) -> None:
    """Twilio does not loop the documents of a conference, so the music loops itself."""
    (play,) = parsed(twiml.waiting(audio, "https://h/self"))
    assert (play.tag, play.get("loop"), play.text) == ("Play", "0", played)


def test_waiting_text_is_endless() -> None:
    """A text is said, then after a pause the document asks for itself again."""
    root = parsed(twiml.waiting("One moment", "https://h/self?a=1&b=2#rc=3"))
    assert [element.tag for element in root] == ["Say", "Pause", "Redirect"]
    assert root.findtext("Redirect") == "https://h/self?a=1&b=2#rc=3"


def test_please_hold() -> None:
    """The document for a log that is away: two seconds, then the same request again, by POST."""
    root = parsed(twiml.please_hold("https://h/self"))
    assert [(element.tag, element.attrib) for element in root] == [
        ("Pause", {"length": "2"}),
        ("Redirect", {"method": "POST"}),
    ]


def test_hang_up_and_silence() -> None:
    """The shortest documents."""
    assert [element.tag for element in parsed(twiml.hang_up())] == ["Hangup"]
    assert len(parsed(twiml.prompt_once(None))) == 0


@pytest.mark.parametrize(
    "query", [{"say": ""}, {"say": "x" * 4001}, {"play": "file:///x"}, {"say": "x", "play": "https://h/x"}]
)
def test_bad_prompts_are_refused(query: dict[str, str]) -> None:
    """A prompt is one of a text of bounded length and an http(s) URL."""
    with pytest.raises(ValueError, match=r"say|play"):
        twiml.prompt_of(query)


DOCUMENTS: list[Callable[[str], bytes]] = [
    lambda text: twiml.waiting(text, "https://h/self"),
    lambda text: twiml.waiting("https://h/" + text, "https://h/self"),
    lambda text: twiml.into_room(URL, "c1", "agent-1", Policy(wait_audio=text)),
]


@given(st.text(max_size=4000), st.sampled_from(DOCUMENTS))
def test_any_text_gives_well_formed_xml(text: str, document: Callable[[str], bytes]) -> None:
    """Whatever characters come in, what goes out is XML that a parser takes."""
    parsed(document(text))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=4000))
def test_prompt_text_is_kept(text: str) -> None:
    """A text without forbidden characters arrives as it was, and the largest fits."""
    said = parsed(twiml.prompt_once(Prompt(say=text))).findtext("Say") or ""
    assert said == text.replace("\ufffe", "").replace("\uffff", "")


def test_longest_prompt_fits() -> None:
    """Four thousand characters that all have to be escaped stay below Twilio's limit."""
    parsed(twiml.prompt_once(Prompt(say="&" * 4000)))
    parsed(twiml.prompt_once(Prompt(say="\U0001f600" * 4000)))


def test_voicemail_records_and_says_where_to() -> None:
    """The action is explicit, or Twilio would ask for the same document again and again."""
    response = ET.fromstring(twiml.voicemail("https://x.test/v?left=1", Prompt(say="Leave a message")))  # noqa: S314 ours

    assert [verb.tag for verb in response] == ["Say", "Record", "Hangup"]
    assert response[1].get("action") == "https://x.test/v?left=1"
