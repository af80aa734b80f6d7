"""The envelope: CloudEvents 1.0, structured and binary, as other people's libraries write it."""

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from schema_strategies import any_json, built
from schemas.cloudevents import CloudEvent, InvalidCloudEventError, decode_binary, decode_structured, is_binary
from schemas.codec import encode

_REQUIRED = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "cordboard.command.call.end.v1"}
_OPTIONAL = {
    "subject": "CA1",
    "time": "2026-11-21T10:00:00Z",
    "datacontenttype": "application/json",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "deadline": "2026-11-21T10:00:30Z",
}
_text = st.text(min_size=1, max_size=30)
_attributes = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": _text, "source": _text, "type": _text},
    optional=dict.fromkeys(_OPTIONAL, _text),
)


def _structured(attributes: dict[str, object], data: object = None) -> CloudEvent:
    return decode_structured(json.dumps({**attributes, "data": data}).encode())


def _kafka(attributes: dict[str, str], data: object) -> CloudEvent:
    return decode_binary({f"ce_{name}": value for name, value in attributes.items()}, json.dumps(data).encode())


def _http(attributes: dict[str, str], data: object) -> CloudEvent:
    headers = {f"CE-{name.title()}": quote(value, safe="") for name, value in attributes.items()}
    return decode_binary({**headers, "Content-Type": "application/json"}, json.dumps(data).encode())


@pytest.mark.parametrize("way", [_structured, _kafka, _http])
@given(attributes=_attributes, data=any_json)
def test_every_way_carries_the_same_event(
    way: Callable[[dict[str, str], object], CloudEvent], attributes: dict[str, str], data: object
) -> None:
    """Structured, binary over Kafka and binary over HTTP: the attributes and the data arrive as they were sent."""
    event = way(attributes, data)

    assert {name: getattr(event, name) for name in attributes} == attributes
    assert json.loads(bytes(event.data)) == data


@given(built(CloudEvent).filter(lambda event: event.id and event.source and event.type))
def test_an_event_is_read_as_it_was_written(event: CloudEvent) -> None:
    """What we write is what we read."""
    written = CloudEvent(**{**{name: getattr(event, name) for name in event.__struct_fields__}, "specversion": "1.0"})

    assert decode_structured(encode(written)) == written


@pytest.mark.parametrize("name", ["subject", "time", "traceparent", "deadline"])
def test_a_null_attribute_is_an_absent_one(name: str) -> None:
    """An attribute of `null` counts as absent (CloudEvents JSON format 2.2)."""
    assert getattr(_structured({**_REQUIRED, name: None}), name) is UNSET
    assert getattr(_structured({**_REQUIRED}), name) is UNSET


@pytest.mark.parametrize("name", ["partitionkey", "mytenant", "sequence"])
def test_unknown_extensions_do_no_harm(name: str) -> None:
    """Extensions of other systems are left aside in every mode."""
    assert _structured({**_REQUIRED, name: "x"}) == _structured({**_REQUIRED})
    assert _kafka({**_REQUIRED, name: "x"}, None) == _kafka({**_REQUIRED}, None)


@pytest.mark.parametrize("name", _REQUIRED)
@pytest.mark.parametrize("way", [_structured, _kafka, _http])
def test_a_required_attribute_must_be_there(way: Callable[[dict[str, str], object], CloudEvent], name: str) -> None:
    """Without one of the four required attributes, or with an empty one, it is no CloudEvent; the error names it."""
    without = {key: value for key, value in _REQUIRED.items() if key != name}
    for attributes in (without, {**_REQUIRED, name: ""}):
        with pytest.raises(InvalidCloudEventError, match=name):
            way(attributes, None)


@pytest.mark.parametrize("version", ["0.3", "1.1", "1", "1.0.2", "x" * 1000])
def test_another_version_is_refused(version: str) -> None:
    """Another version of CloudEvents is refused with the one that we read."""
    with pytest.raises(InvalidCloudEventError, match=r"expected '1\.0'") as refused:
        _structured({**_REQUIRED, "specversion": version})

    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", b"hello", b"\xff\xfe\x00", b"[" * 200_000, b'{"id": 1}',
        json.dumps({**_REQUIRED, "id": 7}).encode(),
        json.dumps({**_REQUIRED, "subject": {}}).encode(),
        json.dumps(_REQUIRED).encode()[:-1] + b', "data": "\xff"}',
        json.dumps(_REQUIRED).encode()[:-1] + b', "data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        json.dumps(_REQUIRED).encode()[:-1] + b', "data": {]}',
    ],
    ids=range(13),
)  # fmt: skip
def test_bytes_that_are_no_event_are_refused(body: bytes) -> None:
    """Whatever bytes come, there is one error, and whoever reads the topic goes on."""
    with pytest.raises(InvalidCloudEventError, match="not a CloudEvent"):
        decode_structured(body)


@given(st.binary(max_size=200))
def test_noise_is_refused(body: bytes) -> None:
    """Random bytes never raise anything else."""
    with pytest.raises(InvalidCloudEventError):
        decode_structured(body)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"hello", b"[" * 200_000, b'{"leg": "\xff"}'])
def test_binary_data_must_be_json(body: bytes) -> None:
    """The value of a binary command is JSON; other bytes are refused."""
    with pytest.raises(InvalidCloudEventError, match="binary mode"):
        decode_binary({f"ce_{name}": value for name, value in _REQUIRED.items()}, body)


def test_an_empty_body_is_no_data() -> None:
    """A binary command without a value has no data."""
    event = decode_binary({f"ce_{name}": value for name, value in _REQUIRED.items()}, b"")

    assert bytes(event.data) == b"null"


def test_data_in_base64_is_refused_not_lost() -> None:
    """`data_base64` is not read as if there were no data: its sender learns of it."""
    with pytest.raises(InvalidCloudEventError, match="data_base64"):
        _structured({**_REQUIRED, "data_base64": "e30="})


def test_the_data_is_no_header() -> None:
    """A header called `ce_data` does not replace the value."""
    event = _kafka({**_REQUIRED, "data": '{"leg": "agent-1"}'}, {"leg": "agent-2"})

    assert json.loads(bytes(event.data)) == {"leg": "agent-2"}


@pytest.mark.parametrize(
    ("headers", "binary"),
    [
        ({"ce_specversion": "1.0"}, True),
        ({"CE-SpecVersion": "1.0"}, True),
        ({"ce-type": "x"}, True),
        ({"content-type": "application/cloudevents+json; charset=utf-8"}, False),
        ({"ce_datacontenttype": "application/json"}, False),
        ({"traceparent": "00-1-2-3"}, False),
        ({}, False),
    ],
)
def test_the_headers_tell_the_mode(headers: dict[str, str], binary: bool) -> None:
    """An event is in binary mode if its version or type stands in a header; other `ce_` headers do no harm."""
    assert is_binary(headers) is binary
