"""The catalogue of metrics: every name, its labels and its meaning. Nothing else makes a metric."""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

WEBHOOKS_RECEIVED = Counter("cordboard_webhooks_received_total", "Requests on Twilio's side, by route.", ["route"])
WEBHOOKS_REFUSED = Counter(
    "cordboard_webhooks_refused_total", "Requests that left no record, by reason (signature, size, form…).", ["reason"]
)
WEBHOOKS_DURABLE = Counter(
    "cordboard_webhooks_durable_total", "Webhooks durable in log or spool before they were answered.", ["source"]
)
WEBHOOKS_OTHER_TOKEN = Counter(
    "cordboard_webhooks_other_token_total",
    "Webhooks signed by another auth token than their account's first: what a rotation waits to end, by account.",
    ["account"],
)
WEBHOOK_SECONDS = Histogram(
    "cordboard_webhook_seconds", "Request read to answer written, seconds.", ["route"], buckets=_FAST
)
DEAD_LETTERS = Counter("cordboard_dead_letters_total", "Records put aside with their bytes, by reason.", ["reason"])
SPOOLED = Counter("cordboard_spooled_total", "Records that went to the spool because the log did not take them.")
SPOOL_FORWARDED = Counter("cordboard_spool_forwarded_total", "Records of the spool that the log has taken since.")
SPOOL_RECORDS = Gauge("cordboard_spool_records", "Records in the spool: acknowledged, and not in the log yet.")
SPOOL_BYTES = Gauge("cordboard_spool_bytes", "Bytes of the records in the spool.")
SPOOL_OLDEST_SECONDS = Gauge("cordboard_spool_oldest_seconds", "Age of the oldest record in the spool, 0 for none.")
SPOOL_REFUSED = Gauge("cordboard_spool_refused_records", "Records set aside in the spool: the log will not take them.")
COMMANDS_RECEIVED = Counter(
    "cordboard_commands_received_total", "Commands taken, by short name and way (http, topic).", ["name", "way"]
)
COMMANDS_REFUSED = Counter(
    "cordboard_commands_refused_total", "Commands that could not be read, by reason.", ["reason"]
)
COMMANDS_ANSWERED = Counter(
    "cordboard_commands_answered_total", "Terminal results, by short name and outcome.", ["name", "outcome"]
)
RECORDS_APPLIED = Counter("cordboard_records_applied_total", "Inbox records that changed a call, by kind.", ["kind"])
RECORDS_IGNORED = Counter(
    "cordboard_records_ignored_total", "Inbox records that changed nothing, by reason.", ["reason"]
)
STEP_SECONDS = Histogram(
    "cordboard_batch_seconds", "A batch of inbox records: read to state durable and effects published.", buckets=_FAST
)
CALLS_LIVE = Gauge("cordboard_calls_live", "Calls in a state other than ended, by partition.", ["partition"])
ACTIONS_PENDING = Gauge("cordboard_actions_pending", "Actions wanted and not confirmed, by partition.", ["partition"])
TIMERS_ARMED = Gauge("cordboard_timers_armed", "Timers of calls that are set, by partition.", ["partition"])
PARTITIONS_LIVE = Gauge("cordboard_partitions_live", "Partitions owned and restored, by service.", ["service"])
CLAIMS = Gauge("cordboard_partition_claims", "Partitions taken since the start, by service.", ["service"])
LAG = Gauge(
    "cordboard_lag_records", "Records written and not yet handled, by service and partition.", ["service", "partition"]
)
TAKEOVER_SECONDS = Histogram(
    "cordboard_takeover_seconds", "Claim to live, seconds, by topic.", ["topic"], buckets=(*_FAST, 30.0, 60.0)
)
ACTIONS = Counter("cordboard_actions_total", "Actions ended, by type and outcome.", ["type", "outcome"])
ACTION_SECONDS = Histogram(
    "cordboard_action_seconds", "Action wanted to its outcome known, by type.", ["type"], buckets=_FAST
)
TWILIO_REQUESTS = Counter(
    "cordboard_twilio_requests_total", "REST requests, by operation and class.", ["operation", "outcome"]
)
TWILIO_SECONDS = Histogram("cordboard_twilio_seconds", "REST request to answer, seconds.", ["operation"], buckets=_FAST)
ACTIONS_RECONCILED = Counter(
    "cordboard_actions_reconciled_total", "Doubtful outcomes looked up, by what was found.", ["found"]
)
LOG_LINES_LOST = Counter("cordboard_log_lines_lost_total", "Log lines that stderr did not take; calls went on.")
