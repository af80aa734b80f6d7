"""The partition function and the topics' policies: what Java, aiokafka and we must agree on."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import POLICIES, Topic, murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_java_s(key: bytes, hashed: int) -> None:
    """Kafka's own test vectors (`UtilsTest.testMurmur2`), there as signed integers."""
    assert murmur2(key) == hashed % 2**32


@given(st.binary(max_size=80))
def test_murmur2_is_aiokafka_s(key: bytes) -> None:
    """For any key, of any length modulo four, we compute what aiokafka's default partitioner does."""
    assert murmur2(key) == aiokafka_murmur2(key) % 2**32


@given(st.binary(max_size=80), st.integers(1, 500))
def test_the_partition_is_java_s(key: bytes, partitions: int) -> None:
    """The sign bit is cut off, not the absolute value taken: `toPositive(murmur2(key)) % partitions`."""
    assert partition_of(key, partitions) == (aiokafka_murmur2(key) & 0x7FFFFFFF) % partitions
    assert 0 <= partition_of(key, partitions) < partitions


def test_calls_spread_over_all_partitions() -> None:
    """Keys like CallSids leave no partition empty and overload none."""
    counts = [0] * 8
    for n in range(8000):
        counts[partition_of(b"CA%032x" % (n * 0x9E3779B97F4A7C15 % 2**128), 8)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_every_topic_has_a_policy() -> None:
    """Each topic says how it is kept, and only state and ledger belong to their owners."""
    assert set(POLICIES) == set(Topic)
    assert {topic for topic, policy in POLICIES.items() if policy.fenced} == {Topic.STATE, Topic.LEDGER}
    for policy in POLICIES.values():
        assert policy.settings["cleanup.policy"] in {"delete", "compact", "compact,delete"}
        assert ("retention.ms" in policy.settings) == ("delete" in policy.settings["cleanup.policy"])
