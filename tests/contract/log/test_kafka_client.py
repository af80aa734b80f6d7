"""What the Kafka adapter takes for granted about aiokafka: private attributes, settings. New versions are checked here.

Without a broker, except where one is named.
"""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    MessageSizeTooLargeError,
    UnknownError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatch

from cordboard.errors import LogError, LogUnavailableError, SettingsError
from cordboard.log import kafka_client
from cordboard.log.kafka_client import (
    Epoch,
    explain,
    explained,
    make_admin,
    make_client,
    make_member,
    make_reader,
    retry_delays,
)
from cordboard.log.kafka_records import new_batch
from cordboard.log.kafka_settings import KafkaSecurity, KafkaSettings, SecurityMode
from cordboard.log.kafka_topics import compare
from cordboard.log.open import open_log
from cordboard.log.port import MAX_RECORD_BYTES, Entry, RecordTooLargeError
from kafka_broker import KafkaBroker
from schemas.topics import POLICIES, Topic

_SETTINGS = KafkaSettings(bootstrap=("127.0.0.1:9",))


def test_the_version_is_one_that_was_read() -> None:
    """The private attributes below were read in 0.14; another minor version must be read again."""
    assert aiokafka.__version__.startswith("0.14.")


def test_the_c_extension_is_there() -> None:
    """Records are packed by the C extension here; without it the start is refused."""
    kafka_client.require_c_extension()


async def test_private_attributes_are_where_we_take_them() -> None:
    """Everything private that `kafka_client` uses exists under its name."""
    assert {"_pid_and_epoch"} <= vars(TransactionManager("x", 1000)).keys()
    assert "_message_accumulator" in inspect.getsource(AIOKafkaProducer.__init__)
    assert "_txn_manager" in inspect.getsource(AIOKafkaProducer.__init__)
    assert callable(MessageAccumulator.fail_all)
    for name in ("_fetch_min_bytes", "_fetch_max_wait_ms"):
        assert f"self.{name}," in inspect.getsource(Fetcher._get_actions_per_node)
    assert callable(SubscriptionState._assigned_state)
    assert "self._subscription =" in inspect.getsource(AIOKafkaConsumer.__init__)
    for name in ("_coordination_task", "_rejoin_needed_fut", "_assignors", "_heartbeat_task", "_commit_refresh_task"):
        assert f"self.{name} =" in inspect.getsource(GroupCoordinator.__init__)
    assert "self.generation =" in inspect.getsource(GroupCoordinator.__init__)
    assert "self.member_id =" in inspect.getsource(GroupCoordinator.__init__)
    assert callable(GroupCoordinator.request_rejoin)
    assert "await self._do_heartbeat()" in inspect.getsource(GroupCoordinator._heartbeat_routine)
    assert "self._coordinator =" in inspect.getsource(AIOKafkaConsumer.start)
    assert "self._client =" in inspect.getsource(AIOKafkaConsumer.__init__)
    assert callable(StickyPartitionAssignor.on_generation_assignment)


async def test_requests_end_in_time() -> None:
    """Whatever is written is answered for within `request_s` (T4)."""
    client = make_client(_SETTINGS)
    assert client._request_timeout_ms == _SETTINGS.times.request_s * 1000
    await client.close()


def test_only_batches_that_gain_by_it_are_compressed() -> None:
    """Single records leave as they are; what is large or gathered is compressed. Both say so in their header."""
    for size, compression in ((100, 0), (32_768, DefaultRecordBatch.CODEC_ZSTD)):
        entry = Entry(0, b"CA1", b"x" * size)
        batch = new_batch(_SETTINGS, [entry])
        assert batch.append(entry, at_ms=0)
        assert DefaultRecordBatch(bytearray(batch.build())).compression_type == compression


def test_a_batch_says_who_may_write_it() -> None:
    """Producer id, epoch and sequence numbers are the batch's own: brokers check them whoever sends it (KIP-98)."""
    batch = new_batch(_SETTINGS, [entry := Entry(0, b"CA1", b"x")])
    assert batch.append(entry, at_ms=0)
    batch.mark(Epoch(producer_id=7, epoch=3), 41)
    built = DefaultRecordBatch(bytearray(batch.build()))
    assert (built.producer_id, built.producer_epoch, built.base_sequence) == (7, 3, 41)


async def test_t10_t11_members_read_in_short_fetches_and_reset_nothing() -> None:
    """No fetch waits longer than 50 ms (T10), no position is made up (T11), nothing is committed by itself."""
    consumer = make_member(_SETTINGS, "g")
    assert consumer._fetch_max_wait_ms == 50
    assert consumer._auto_offset_reset == "none"
    assert consumer._enable_auto_commit is False
    await consumer.stop()


async def test_members_do_not_share_what_their_assignors_remember() -> None:
    """Two members of one process have assignor classes of their own, or their groups would mix."""
    one, two = make_member(_SETTINGS, "g"), make_member(_SETTINGS, "h")
    (first,), (second,) = one._partition_assignment_strategy, two._partition_assignment_strategy
    assert first is not second
    assert {first.name, second.name} == {"sticky"}
    await one.stop()
    await two.stop()


def test_t12_unknown_errors_are_temporary() -> None:
    """Codes that aiokafka does not know mean: establish it anew from the log. None of them passes for success."""
    for code in (74, 75, 90, 110):
        assert for_code(code) is UnknownError
        assert isinstance(explain(for_code(code)(), "x"), LogUnavailableError)


def test_errors_say_what_to_do() -> None:
    """A missing topic names the command that creates it; a record that is too large is not worth a retry."""
    assert "cordboard topics ensure" in str(explain(UnknownTopicOrPartitionError(), "x"))
    assert isinstance(explain(MessageSizeTooLargeError(), "x"), RecordTooLargeError)
    assert "not answered in time" in str(explain(TimeoutError(), "x"))


async def test_a_broker_that_names_no_brokers_yet_is_one_to_wait_for() -> None:
    """Aiokafka takes it for a mistake of its own and asserts; other assertions are nothing to wait for."""
    client = AIOKafkaClient(bootstrap_servers="127.0.0.1:9")
    with pytest.raises(LogUnavailableError, match="names no brokers yet"), explained("x"):
        await client.coordinator_lookup(CoordinationType.TRANSACTION, "nobody")
    with pytest.raises(AssertionError, match="ours"), explained("x"):
        raise AssertionError("ours")


def test_t17_retries_slow_down_and_spread() -> None:
    """Waits double up to a bound and are never the same for all processes."""
    delays = retry_delays(_SETTINGS)
    seen = [next(delays) for _ in range(20)]
    assert 0.05 <= seen[0] <= 0.1
    assert all(2.5 <= delay <= 5.0 for delay in seen[10:])
    assert len(set(seen)) == len(seen)


def test_t19_every_record_fits_into_a_fetch() -> None:
    """Fetches are larger than the largest record that any topic takes, which are larger than what we send."""
    for policy in POLICIES.values():
        limit = int(policy.settings["max.message.bytes"])
        assert MAX_RECORD_BYTES < limit < kafka_client._FETCH_PARTITION_BYTES


def test_topics_that_differ_are_described() -> None:
    """Each difference is named with what was found and what was expected; order within a list does not count."""
    right = dict(POLICIES[Topic.LEDGER].settings) | {"cleanup.policy": "delete,compact"}
    assert compare(Topic.LEDGER, right, 8, 8).state == "ok"
    wrong = compare(Topic.LEDGER, right | {"retention.ms": "1"}, 4, 8)
    assert wrong.state == "differs"
    assert "partitions are 4" in wrong.detail
    assert "retention.ms is 1, expected 604800000" in wrong.detail


def test_security_options() -> None:
    """Each mode becomes what aiokafka wants, and the password shows in no repr."""
    assert KafkaSecurity().client_options() == {"security_protocol": "PLAINTEXT"}
    sasl = KafkaSecurity(mode=SecurityMode.SASL_TLS, sasl_username="u", sasl_password="geheim")
    options = sasl.client_options()
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert options["ssl_context"].verify_mode.name == "CERT_REQUIRED"
    assert "geheim" not in repr(sasl)
    assert "geheim" not in repr(KafkaSettings(bootstrap=("a:1",), security=sasl))


def test_security_that_cannot_work_is_refused(tmp_path: Path) -> None:
    """Missing credentials, unknown mechanisms and unreadable authorities are told by the setting's name."""
    with pytest.raises(SettingsError, match="SASL_USERNAME"):
        KafkaSecurity(mode=SecurityMode.SASL_TLS).client_options()
    with pytest.raises(SettingsError, match="SASL_MECHANISM"):
        KafkaSecurity(mode=SecurityMode.SASL_TLS, sasl_mechanism="ROT13").client_options()
    with pytest.raises(SettingsError, match="TLS_CA"):
        KafkaSecurity(mode=SecurityMode.TLS, tls_ca=tmp_path / "none.pem").client_options()


@pytest.mark.parametrize("spec", ["", "sqlite:", "kafka:", "kafka:host", "kafka:a:1,b", "redis:x", "memory:x"])
def test_a_log_that_cannot_be_meant_is_refused(spec: str) -> None:
    """`CORDBOARD_LOG` must name one of the logs, completely."""
    with pytest.raises(SettingsError, match="CORDBOARD_LOG"):
        open_log(spec)


async def test_every_log_opens_by_its_name(tmp_path: Path) -> None:
    """The three specs make the three logs, with the number of partitions that was asked for."""
    for spec in ("memory:", f"sqlite:{tmp_path}/journal.db", "kafka:127.0.0.1:9,localhost:9092"):
        log = open_log(spec, prefix="p.", partitions=3)
        assert log.partitions == 3
        await log.aclose()


@pytest.mark.kafka
async def test_a_topic_with_other_partitions_is_refused(kafka: KafkaBroker, topic_prefix: str) -> None:
    """A topic made with another number of partitions is an error that says so, wherever it is noticed."""
    maker = open_log(f"kafka:{kafka.bootstrap}", prefix=topic_prefix, partitions=2)
    await maker.ensure_topics()
    await maker.aclose()
    log = open_log(f"kafka:{kafka.bootstrap}", prefix=topic_prefix, partitions=4)

    assert {c.state for c in await log.ensure_topics()} == {"differs"}
    with pytest.raises(LogError, match="has 2 partitions"):
        await log.bounds(Topic.INBOX)
    assert "has 2 partitions" in (await log.check() or "")
    await log.aclose()


@pytest.mark.kafka
async def test_topics_are_made_with_their_policies(kafka: KafkaBroker, topic_prefix: str) -> None:
    """What `ensure_topics` creates, Kafka describes as it should be."""
    log = open_log(f"kafka:{kafka.bootstrap}", prefix=topic_prefix, partitions=2)
    assert {c.state for c in await log.ensure_topics()} == {"created"}
    assert {c.state for c in await log.ensure_topics()} == {"ok"}
    await log.aclose()


@pytest.mark.kafka
@pytest.mark.parametrize("make", [make_client, make_reader, make_admin])
async def test_a_start_that_is_cancelled_leaves_no_connection(
    kafka: KafkaBroker,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[KafkaSettings], Any],
) -> None:
    """Whoever gives up while aiokafka waits for its first metadata leaves no open socket behind."""
    connections: list[AIOKafkaConnection] = []
    asked = asyncio.Event()
    send: Any = AIOKafkaConnection.send

    def noticed(connection: AIOKafkaConnection, request: object, *, expect_response: bool = True) -> object:
        if isinstance(request, MetadataRequest):
            connections.append(connection)
            asked.set()
        return send(connection, request, expect_response)

    monkeypatch.setattr(AIOKafkaConnection, "send", noticed)
    client = make(KafkaSettings(bootstrap=(kafka.bootstrap,)))
    starting = asyncio.create_task(client.bootstrap() if isinstance(client, AIOKafkaClient) else client.start())
    await asked.wait()
    starting.cancel()
    await asyncio.wait({starting})
    await (client.stop() if isinstance(client, AIOKafkaConsumer) else client.close())

    assert starting.cancelled()
    assert [c for c in connections if c.connected()] == []


async def test_nothing_there_is_told_in_time() -> None:
    """With no Kafka at the address, everything ends with the reason, and closing does too."""
    log = open_log("kafka:127.0.0.1:9", partitions=2)
    assert "127.0.0.1" in (await log.check() or "")
    with pytest.raises(LogUnavailableError):
        await log.ensure_topics()
    with pytest.raises(LogUnavailableError):
        await log.claim(Topic.STATE, 0, "engine")
    await log.aclose()
