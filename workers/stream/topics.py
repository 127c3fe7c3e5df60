"""Our topics: which they are, and creating those that are missing."""

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from workers.settings import KafkaSettings
from workers.stream.connect import ENVELOPE_BYTES, connect_admin, unavailable


def intents_topic(topic: str) -> str:
    """The topic whose committed offsets hold the declared ends of `topic`'s blocks. It never holds a message."""
    return f"{topic}.intents"


def topic_settings(settings: KafkaSettings) -> dict[str, dict[str, str]]:
    """Every topic a worker needs -> its configuration."""
    size = {"max.message.bytes": str(settings.max_message_bytes)}
    topics: dict[str, dict[str, str]] = {}
    for topic in settings.topics:
        topics[topic] = size
        topics[intents_topic(topic)] = {}
    topics[settings.insights_topic] = {"max.message.bytes": str(settings.max_message_bytes + ENVELOPE_BYTES)}
    topics[settings.dead_letters_topic] = {"max.message.bytes": str(settings.max_message_bytes + ENVELOPE_BYTES)}
    return topics


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Creates the missing topics and returns their names. Any number of processes may do so at once.

    An intents topic gets at least as many partitions as its source topic has. Raises `BrokerUnavailable`.
    """
    admin = connect_admin(settings)
    try:
        known = _partition_counts(admin)
        missing = [name for name in topic_settings(settings) if name not in known]
        for name in missing:
            partitions = known.get(name.removesuffix(".intents"), settings.partitions)
            _create(admin, name, partitions, settings)
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()
    return missing


def topic_ids(settings: KafkaSettings) -> dict[str, str]:
    """Source topic -> the broker's UUID of its present incarnation. Raises `BrokerUnavailable`."""
    admin = connect_admin(settings)
    try:
        described = admin.describe_topics(list(settings.topics))
        return {topic["name"]: str(topic.get("topic_id") or "") for topic in described}
    except KafkaError as error:
        raise unavailable(settings, error) from error
    finally:
        admin.close()


def _partition_counts(admin: KafkaAdminClient) -> dict[str, int]:
    described = admin.describe_topics()
    return {topic["name"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


def _create(admin: KafkaAdminClient, name: str, partitions: int, settings: KafkaSettings) -> None:
    topic = NewTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=settings.replication_factor,
        topic_configs=topic_settings(settings)[name],
    )
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return  # another process was faster: the topic is there, which is all that was asked
