"""Every metric a worker exports, with its meaning. Names follow Prometheus's rules; times are in seconds."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("voxpop_messages_total", "Messages taken from a source topic.", ["topic"])
INSIGHTS = Counter("voxpop_insights_total", "Insights acknowledged by ClickHouse.", ["topic"])
DEAD_LETTERS = Counter("voxpop_dead_letters_total", "Messages that could not be used.", ["topic", "reason"])
RESENDS = Counter("voxpop_resends_total", "Events left out because the same version of them came before.", ["topic"])
ERASED = Counter("voxpop_erased_total", "Messages turned away because their event or author was erased.", ["topic"])
UPDATES = Counter("voxpop_updates_total", "Versions of events that a newer version replaced.", ["topic"])
UNKNOWN_FIELDS = Counter("voxpop_unknown_fields_total", "Fields of events that the contract does not know.", ["topic"])
BLOCKS = Counter("voxpop_blocks_total", "Blocks written.", ["topic"])
RETRIES = Counter("voxpop_retries_total", "Tries of an operation that failed and were repeated.", ["operation"])
LAG = Gauge("voxpop_lag_messages", "Messages in the partition beyond the committed offset.", ["topic", "partition"])
PARTITIONS = Gauge("voxpop_partitions", "Partitions that this worker owns.")
STAGE_SECONDS = Histogram(
    "voxpop_stage_seconds",
    "Time one batch of blocks spends in a stage.",
    ["stage"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
LATENCY_SECONDS = Histogram(
    "voxpop_latency_seconds",
    "From a message's timestamp in its topic to its row in ClickHouse.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
LAST_BLOCK_TIME = Gauge("voxpop_last_block_timestamp_seconds", "Unix time at which the latest block was written.")
ALERT_TEXTS = Counter("voxpop_alert_texts_total", "Insights that alerts were watched for.")
ALERT_LATE_TEXTS = Counter("voxpop_alert_late_texts_total", "Texts too old for any window that is still counted.")
ALERTS = Counter("voxpop_alerts_total", "Revisions of alerts told.", ["kind", "status"])
ALERT_HURRIES = Counter("voxpop_alert_hurries_total", "Times that SIGUSR1 had all waiting windows looked at.")
NOTICES = Counter("voxpop_alert_notices_total", "Alerts told to webhooks and by e-mail.", ["channel", "outcome"])
ESCALATIONS = Counter("voxpop_escalations_total", "Calls to the escalation endpoint.", ["outcome"])
ESCALATIONS_HELD = Gauge("voxpop_escalations_held", "1 while a budget or the breaker lets no call by.")
PACK_VERSION = Gauge("voxpop_pack_version", "1 for the version of each pack that judges now.", ["pack", "version"])
JUDGED = Counter("voxpop_judged_total", "Texts judged, by who did: cache is a hit, any other route a miss.", ["route"])
KNOWN_ANSWERS = Gauge("voxpop_known_answers", "Answers that this worker remembers.")
KNOWN_ANSWERS_BYTES = Gauge("voxpop_known_answers_bytes", "About what they take in memory.")
