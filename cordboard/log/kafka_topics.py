"""Creating the topics on Kafka, and comparing those that are there with what they should be (reliability.md 2.4)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.new_topic import NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from cordboard.errors import LogError
from cordboard.log.kafka_client import make_admin, topic_name, within
from cordboard.log.kafka_settings import KafkaSettings
from cordboard.log.port import TopicCheck
from schemas.topics import POLICIES, Topic

_CREATE_MS = 20_000
_ASK_AGAIN_S = 0.05
_BROKERS_FOR_REPLICAS = 3
_CONFIG_NAME, _CONFIG_VALUE = 0, 1


async def ensure_topics(settings: KafkaSettings) -> Sequence[TopicCheck]:
    """Create what is missing; say how the rest differs. What is there is not changed: that is an operator's decision.

    Raises `LogUnavailableError`, `LogError` when Kafka refuses to create one.
    """
    admin = make_admin(settings)
    try:
        async with within(settings.times.connect_s * 3, "ensuring the topics"):
            await admin.start()
            there = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if not t["error_code"]}
            missing = [topic for topic in Topic if topic_name(settings, topic) not in there]
            created = await _create(admin, settings, missing) if missing else set()
            await _wait_until_known(admin, settings, set(Topic))
            rest = [topic for topic in Topic if topic not in created]
            configs = await _configs(admin, settings, rest) or {}
    finally:
        await admin.close()
    checks = {topic: TopicCheck(topic=topic, state="created") for topic in created}
    for topic in rest:
        name = topic_name(settings, topic)
        checks[topic] = compare(topic, configs.get(name, {}), there.get(name, settings.partitions), settings.partitions)
    return [checks[topic] for topic in Topic]


def compare(topic: Topic, config: Mapping[str, str], partitions: int, wanted_partitions: int) -> TopicCheck:
    """What an existing topic lacks."""
    differences = []
    if partitions != wanted_partitions:
        differences.append(f"partitions are {partitions}, CORDBOARD_PARTITIONS is {wanted_partitions}")
    for name, wanted in POLICIES[topic].settings.items():
        found = config.get(name)
        if found is None or set(found.split(",")) != set(wanted.split(",")):
            differences.append(f"{name} is {found}, expected {wanted}")
    return TopicCheck(topic=topic, state="differs" if differences else "ok", detail="; ".join(differences))


async def _create(admin: AIOKafkaAdminClient, settings: KafkaSettings, topics: Sequence[Topic]) -> set[Topic]:
    replication = settings.replication
    if replication is None:
        brokers = len((await admin.describe_cluster())["brokers"])
        replication = _BROKERS_FOR_REPLICAS if brokers >= _BROKERS_FOR_REPLICAS else 1
    durable = {"min.insync.replicas": "2"} if replication >= _BROKERS_FOR_REPLICAS else {}
    wanted = [
        NewTopic(
            topic_name(settings, topic),
            settings.partitions,
            replication,
            topic_configs={**POLICIES[topic].settings, **durable},
        )
        for topic in topics
    ]
    answer: Any = await admin.create_topics(wanted, timeout_ms=_CREATE_MS)
    created: set[Topic] = set()
    by_name = {topic_name(settings, topic): topic for topic in topics}
    for name, code, *detail in answer.topic_errors:
        error: type[KafkaError] = for_code(code)
        if error is NoError:
            created.add(by_name[name])
        elif error is not TopicAlreadyExistsError:  # another process was faster: then it is compared
            raise LogError(f"{name} could not be created: {error.__name__} {detail}. Check the rights and the name")
    return created


async def _wait_until_known(admin: AIOKafkaAdminClient, settings: KafkaSettings, topics: set[Topic]) -> None:
    """Created is not yet known everywhere: wait until the brokers describe every topic, with leaders and settings."""
    names = [topic_name(settings, topic) for topic in topics]
    while True:
        described = await admin.describe_topics(names)
        led = all(p["leader"] >= 0 for t in described for p in t["partitions"])
        if led and not any(t["error_code"] for t in described) and await _configs(admin, settings, topics) is not None:
            return
        await asyncio.sleep(_ASK_AGAIN_S)


async def _configs(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, topics: Collection[Topic]
) -> dict[str, dict[str, str]] | None:
    """The settings of these topics by name; None while a broker does not know one of them."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic_name(settings, topic)) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    responses: list[Any] = await admin.describe_configs(resources)
    for response in responses:
        for code, message, _, name, entries in response.resources:
            error: type[KafkaError] = for_code(code)
            if error is UnknownTopicOrPartitionError:
                return None
            if error is not NoError:
                raise LogError(f"{name}: its settings cannot be read: {error.__name__} {message}")
            found[name] = {entry[_CONFIG_NAME]: entry[_CONFIG_VALUE] for entry in entries}
    return found
