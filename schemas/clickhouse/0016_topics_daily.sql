-- Apply with the workers stopped: what is stored is counted once more.
-- Where a day's texts lie on the whole in what they are about: sums of topic vectors, from which their mean is known. Of every
-- row that was ever inserted: an update or a second judgement counts again, for it moves a mean by next to nothing, and
-- retractions keep nothing of a text. `voxpop erase` makes the days anew that it took texts from.
CREATE TABLE IF NOT EXISTS topics_daily
(
    day Date,
    pack LowCardinality(String),
    texts SimpleAggregateFunction(sum, UInt64),
    vectors AggregateFunction(sumForEach, Array(Int64))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, pack)
SETTINGS non_replicated_deduplication_window = {deduplication_window};

DROP VIEW IF EXISTS mv_topics_daily;
TRUNCATE TABLE topics_daily;
INSERT INTO topics_daily
SELECT
    toDate(event_time) AS day,
    pack,
    count() AS texts,
    sumForEachState(arrayMap(x -> toInt64(x), topic_vector)) AS vectors
FROM insights
WHERE notEmpty(topic_vector)
GROUP BY day, pack
SETTINGS max_partitions_per_insert_block = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS mv_topics_daily TO topics_daily AS
SELECT
    toDate(event_time) AS day,
    pack,
    count() AS texts,
    sumForEachState(arrayMap(x -> toInt64(x), topic_vector)) AS vectors
FROM insights
WHERE notEmpty(topic_vector)
GROUP BY day, pack;
