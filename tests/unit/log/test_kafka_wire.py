"""Our Produce request against aiokafka's, byte for byte, and its answers read as aiokafka reads them."""

from io import BytesIO
from typing import TypeVar

import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from cordboard.log.kafka_wire import Appended, Produce, ProduceAnswer

_names = st.text(st.sampled_from("abcXYZ09._-"), min_size=1, max_size=40)
_places = st.tuples(_names, st.integers(0, 2**31 - 1))
_appended = st.builds(Appended, st.integers(-1, 120), st.integers(-1, 2**63 - 1))

Value = TypeVar("Value")


def _by_topic(found: dict[tuple[str, int], Value]) -> dict[str, dict[int, Value]]:
    topics: dict[str, dict[int, Value]] = {}
    for (topic, partition), value in found.items():
        topics.setdefault(topic, {})[partition] = value
    return topics


@given(batches=st.dictionaries(_places, st.binary(max_size=50), max_size=20), timeout_s=st.integers(0, 60))
def test_a_request_is_what_aiokafka_would_send(batches: dict[tuple[str, int], bytes], timeout_s: int) -> None:
    """Body and header are the same bytes, for any topics, partitions and batches."""
    ours = Produce(batches, timeout_s)
    topics = [(topic, list(partitions.items())) for topic, partitions in _by_topic(batches).items()]
    theirs = ProduceRequest_v7(None, -1, timeout_s * 1000, topics)

    assert ours.encode() == theirs.encode()
    header = theirs.build_request_header(correlation_id=7, client_id="cordboard")
    assert ours.build_request_header(correlation_id=7, client_id="cordboard").encode() == header.encode()


@given(appended=st.dictionaries(_places, _appended, max_size=20), correlation_id=st.integers(0, 2**31 - 1))
def test_an_answer_is_read_as_aiokafka_writes_it(
    appended: dict[tuple[str, int], Appended], correlation_id: int
) -> None:
    """Every batch's error code and offset are found, whatever order they are answered in."""
    topics = [
        (topic, [(partition, one.error_code, one.offset, -1, 0) for partition, one in partitions.items()])
        for topic, partitions in _by_topic(appended).items()
    ]
    data = BytesIO(correlation_id.to_bytes(4, "big") + ProduceResponse_v7(topics, 0).encode())

    assert Produce({}, 1).parse_response_header(data).correlation_id == correlation_id
    assert ProduceAnswer.decode(data).appended == appended


@pytest.mark.parametrize(("versions", "taken"), [((3, 13), True), ((0, 7), True), ((0, 6), False), ((8, 13), False)])
def test_a_broker_that_does_not_take_it_is_named(versions: tuple[int, int], taken: bool) -> None:
    """Kafka 2.1 to 4.x take version 7; another broker is refused with what it takes."""
    request = Produce({}, 1)
    if taken:
        assert request.prepare({0: versions}) is request
    else:
        with pytest.raises(IncompatibleBrokerVersion, match=f"takes {versions[0]} to {versions[1]}"):
            request.prepare({0: versions})
