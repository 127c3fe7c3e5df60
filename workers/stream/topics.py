"""Our topics: which they are, and creating those that are missing."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import NewPartitions, NewTopic
from kafka.errors import IncompatibleBrokerVersion, InvalidPartitionsError, KafkaError, TopicAlreadyExistsError

from workers.settings import KafkaSettings
from workers.stream.connect import ENVELOPE_BYTES, connect_admin, unavailable

INTENTS_EACH = (
    2  # partitions of an intents topic for one of its source topic: a declared block's first offset and its end
)


def intents_topic(topic: str) -> str:
    """The topic whose committed offsets tell `topic`'s declared blocks. It never holds a message."""
    return f"{topic}.intents"


def topic_settings(settings: KafkaSettings) -> dict[str, dict[str, str]]:
    """Every topic a worker needs -> its configuration."""
    size = {"max.message.bytes": str(settings.max_message_bytes)}
    topics: dict[str, dict[str, str]] = {}
    for topic in settings.topics:
        topics[topic] = size
        topics[intents_topic(topic)] = {}
    topics[settings.insights_topic] = {"max.message.bytes": str(settings.max_message_bytes + ENVELOPE_BYTES)}
    topics[settings.alerts_topic] = size
    topics[settings.dead_letters_topic] = {"max.message.bytes": str(settings.max_message_bytes + ENVELOPE_BYTES)}
    return topics


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Creates the missing topics and returns their names. Any number of processes may do so at once.

    An intents topic gets `INTENTS_EACH` partitions for each of its source topic. Raises `BrokerUnavailable`.
    """
    admin = connect_admin(settings)
    try:
        known = {topic["name"]: len(topic["partitions"]) for topic in _described(admin)}
        missing = [name for name in topic_settings(settings) if name not in known]
        wanted = _intents_wanted(settings, known)
        for name in missing:
            _create(admin, name, wanted.get(name, settings.partitions), settings, topic_settings(settings)[name])
        _grow(admin, wanted, known)
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()
    return missing


def present_topics(settings: KafkaSettings) -> dict[str, str]:
    """Source topic -> the broker's UUID of its present incarnation. Grows the intents topics after partitions were added.

    Raises `BrokerUnavailable`.
    """
    admin = connect_admin(settings)
    try:
        described = _described(admin)
        counts = {topic["name"]: len(topic["partitions"]) for topic in described}
        _grow(admin, _intents_wanted(settings, counts), counts)
        return _ids(described)
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()


def topic_ids(settings: KafkaSettings) -> dict[str, str]:
    """Every topic -> the broker's UUID of its present incarnation. Raises `BrokerUnavailable`."""
    admin = connect_admin(settings)
    try:
        return _ids(_described(admin))
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()


def ensure_changelogs(settings: KafkaSettings, names: Sequence[str], partitions: int) -> None:
    """Creates the missing ones of these topics, which keep the newest message of each key. Raises `BrokerUnavailable`."""
    admin = connect_admin(settings)
    try:
        known = {topic["name"] for topic in _described(admin)}
        for name in names:
            if name not in known:
                _create(admin, name, partitions, settings, {"cleanup.policy": "compact"})
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()


def partitions_of(settings: KafkaSettings, topic: str) -> int:
    """How many partitions a topic has that is there. Raises `BrokerUnavailable`."""
    admin = connect_admin(settings)
    try:
        return next(len(found["partitions"]) for found in _described(admin) if found["name"] == topic)
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()


def _ids(described: list[dict[str, Any]]) -> dict[str, str]:
    return {topic["name"]: str(topic.get("topic_id") or "") for topic in described}


def _described(admin: KafkaAdminClient) -> list[dict[str, Any]]:
    return [topic for topic in admin.describe_topics() if not topic["error_code"]]


def _intents_wanted(settings: KafkaSettings, known: dict[str, int]) -> dict[str, int]:
    """Intents topic -> how many partitions it needs."""
    return {intents_topic(t): INTENTS_EACH * known.get(t, settings.partitions) for t in settings.topics}


def _grow(admin: KafkaAdminClient, wanted: dict[str, int], known: dict[str, int]) -> None:
    small = {name: NewPartitions(count) for name, count in wanted.items() if count > known.get(name, count)}
    if not small:
        return
    try:
        admin.create_partitions(small)
    except (InvalidPartitionsError, IncompatibleBrokerVersion):
        return  # another process was faster; or it is the embedded broker, which takes offsets of partitions it lacks


def _create(
    admin: KafkaAdminClient, name: str, partitions: int, settings: KafkaSettings, config: dict[str, str]
) -> None:
    topic = NewTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=settings.replication_factor,
        topic_configs=config,
    )
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return  # another process was faster: the topic is there, which is all that was asked
