CREATE STREAM `t_trade_bars_v4_ticks` (
  `_key` VARCHAR KEY,
  `venue` VARCHAR,
  `symbol` VARCHAR,
  `at` TIMESTAMP,
  `price` DECIMAL(18, 2),
  `size` DECIMAL(18, 1),
  `lots` BIGINT,
  `weight` DOUBLE
) WITH (
  KAFKA_TOPIC = 't.trade',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`at`'
);

CREATE STREAM `t_trade_bars_v4_hb` (
  `_key` VARCHAR KEY,
  `venue` VARCHAR,
  `symbol` VARCHAR,
  `base` VARCHAR,
  `kind` VARCHAR,
  `at` TIMESTAMP,
  `bucket_start` TIMESTAMP,
  `market_date` DATE,
  `session_open` TIMESTAMP,
  `closes` ARRAY<VARCHAR>,
  `next_at` TIMESTAMP,
  `next_bucket_start` TIMESTAMP,
  `next_market_date` DATE,
  `next_session_open` TIMESTAMP
) WITH (
  KAFKA_TOPIC = 't.trade_hb',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`at`'
);

CREATE TABLE `t_trade_bars_v4_sessions` (
  `session_key` VARCHAR PRIMARY KEY,
  `sessions` ARRAY<STRUCT<`open_ms` BIGINT, `close_ms` BIGINT, `day` BIGINT, `week` BIGINT, `month` BIGINT>>
) WITH (
  KAFKA_TOPIC = 't.hours_by_day',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  WRAP_SINGLE_VALUE = TRUE
);

CREATE STREAM `t_trade_bars_v4_stamped` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO'
) AS
SELECT
  `t`.`_key` AS `_key`,
  `t`.`venue` AS `group_0`,
  `t`.`symbol` AS `group_1`,
  CAST(UNIX_TIMESTAMP(`t`.`at`) AS BIGINT) AS `at`,
  CONCAT(LPAD(CAST(UNIX_TIMESTAMP(`t`.`at`) AS VARCHAR), 15, '0'), '|', CONCAT('1', LPAD(CAST(`t`.`ROWOFFSET` AS VARCHAR), 19, '0'))) AS `place`,
  CAST(`t`.`ROWOFFSET` AS BIGINT) AS `cut`,
  CAST(FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`day` / 86400000 AS BIGINT) AS `day`,
  CAST(`t`.`price` AS DECIMAL(18, 2)) AS `in_0`,
  CAST(COALESCE(`t`.`size`, CAST('1.0' AS DECIMAL(18, 1))) AS DECIMAL(18, 1)) AS `in_1`,
  CAST((UNIX_TIMESTAMP(`t`.`at`) / 60000) * 60000 AS BIGINT) AS `label_1m`,
  CAST((UNIX_TIMESTAMP(`t`.`at`) / 300000) * 300000 AS BIGINT) AS `label_5m`,
  CAST((UNIX_TIMESTAMP(`t`.`at`) / 3600000) * 3600000 AS BIGINT) AS `label_1h`,
  CAST(FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`day` AS BIGINT) AS `label_1d`,
  CAST(FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`week` AS BIGINT) AS `label_1w`,
  CAST(FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`month` AS BIGINT) AS `label_1mo`,
  CAST(CASE WHEN FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`open_ms` > ((UNIX_TIMESTAMP(`t`.`at`) / 60000) * 60000) THEN FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1]->`open_ms` ELSE (UNIX_TIMESTAMP(`t`.`at`) / 60000) * 60000 END AS BIGINT) AS `label_segment`,
  'tick' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(NULL AS BIGINT) AS `mark_1m`,
  CAST(NULL AS BIGINT) AS `mark_5m`,
  CAST(NULL AS BIGINT) AS `mark_1h`,
  CAST(NULL AS BIGINT) AS `mark_1d`,
  CAST(NULL AS BIGINT) AS `mark_1w`,
  CAST(NULL AS BIGINT) AS `mark_1mo`,
  CAST(NULL AS BIGINT) AS `mark_segment`,
  CAST(NULL AS VARCHAR) AS `carried_0`
FROM `t_trade_bars_v4_ticks` `t`
LEFT JOIN `t_trade_bars_v4_sessions` `s` ON CONCAT_WS(CHR(31), '1', REPLACE(REPLACE(`t`.`symbol`, '\', '\\'), CHR(31), '\u001f'), LPAD(CAST((UNIX_TIMESTAMP(`t`.`at`) / 86400000) * 86400000 AS VARCHAR), 13, '0')) = `s`.`session_key`
WHERE (`t`.`venue` IS NOT NULL)
  AND (`t`.`symbol` IS NOT NULL)
  AND (`t`.`at` IS NOT NULL)
  AND (`t`.`price` IS NOT NULL)
  AND (UNIX_TIMESTAMP(`t`.`at`) >= 0)
  AND (FILTER(`s`.`sessions`, `X` => ((UNIX_TIMESTAMP(`t`.`at`) >= `X`->`open_ms`) AND (UNIX_TIMESTAMP(`t`.`at`) < `X`->`close_ms`)))[1] IS NOT NULL)
PARTITION BY `t`.`_key`
EMIT CHANGES;

INSERT INTO `t_trade_bars_v4_stamped`
SELECT
  `h`.`_key` AS `_key`,
  `h`.`venue` AS `group_0`,
  `h`.`symbol` AS `group_1`,
  CAST(UNIX_TIMESTAMP(`h`.`at`) AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 2)) AS `in_0`,
  CAST(NULL AS DECIMAL(18, 1)) AS `in_1`,
  CAST(UNIX_TIMESTAMP(`h`.`bucket_start`) AS BIGINT) AS `label_1m`,
  CAST((UNIX_TIMESTAMP(`h`.`at`) / 300000) * 300000 AS BIGINT) AS `label_5m`,
  CAST((UNIX_TIMESTAMP(`h`.`at`) / 3600000) * 3600000 AS BIGINT) AS `label_1h`,
  CAST(CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) * 86400000 AS BIGINT) AS `label_1d`,
  CAST(((((CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) + 3) / 7) * 7) - 3) * 86400000 AS BIGINT) AS `label_1w`,
  CAST(CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000 AS BIGINT) AS `label_1mo`,
  CAST(UNIX_TIMESTAMP(`h`.`at`) AS BIGINT) AS `label_segment`,
  `h`.`kind` AS `kind`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN UNIX_TIMESTAMP(`h`.`next_at`) END AS BIGINT) AS `next_at`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) END AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN UNIX_TIMESTAMP(`h`.`next_bucket_start`) WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1m') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1m`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN (UNIX_TIMESTAMP(`h`.`next_at`) / 300000) * 300000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '5m') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_5m`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN (UNIX_TIMESTAMP(`h`.`next_at`) / 3600000) * 3600000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1h') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1h`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) * 86400000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1d') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1d`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN ((((CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) + 3) / 7) * 7) - 3) * 86400000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1w') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1w`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1mo') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1mo`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN UNIX_TIMESTAMP(`h`.`next_at`) END AS BIGINT) AS `mark_segment`,
  CAST(NULL AS VARCHAR) AS `carried_0`
FROM `t_trade_bars_v4_hb` `h`
WHERE (`h`.`base` = '1m')
  AND ((`h`.`kind` = 'live') OR (`h`.`kind` = 'final'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1m_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1m` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1m`'
);

CREATE STREAM `t_trade_bars_v4_5m_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_5m` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_5m` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_5m`'
);

CREATE STREAM `t_trade_bars_v4_1h_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1h` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1h` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1h`'
);

CREATE STREAM `t_trade_bars_v4_1d_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1d` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1d` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1d`'
);

CREATE STREAM `t_trade_bars_v4_1w_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1w` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1w` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1w`'
);

CREATE STREAM `t_trade_bars_v4_1mo_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1mo` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1mo`'
);

CREATE STREAM `t_trade_bars_v4_segment_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 2),
  `in_1` DECIMAL(18, 1),
  `label_1m` BIGINT,
  `label_5m` BIGINT,
  `label_1h` BIGINT,
  `label_1d` BIGINT,
  `label_1w` BIGINT,
  `label_1mo` BIGINT,
  `label_segment` BIGINT,
  `kind` VARCHAR,
  `next_at` BIGINT,
  `next_day` BIGINT,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `mark_5m` BIGINT,
  `mark_1h` BIGINT,
  `mark_1d` BIGINT,
  `mark_1w` BIGINT,
  `mark_1mo` BIGINT,
  `mark_segment` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_segment`'
);

CREATE TABLE `t_trade_bars_v4_1m_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1m_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1m` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1m` <> `label_1m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_1m_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1m_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `day` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1m_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_5m_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_5m_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_5m` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_5m` <> `label_5m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_5m_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11525 MINUTES, GRACE PERIOD 10085 MINUTES)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_5m_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `day` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_5m_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_1h_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1h_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1h` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1h` <> `label_1h`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_1h_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 193 HOURS, GRACE PERIOD 169 HOURS)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1h_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `day` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1h_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_1d_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1d_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1d` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1d` <> `label_1d`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_1d_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 16 DAYS, GRACE PERIOD 15 DAYS)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1d_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1d_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_1w_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1w_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1w` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1w` <> `label_1w`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_1w_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 22 DAYS, GRACE PERIOD 21 DAYS)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1w_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1w_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_1mo_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1mo_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1mo` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1mo` <> `label_1mo`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_1mo_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 46 DAYS, GRACE PERIOD 45 DAYS)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1mo_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DECIMAL(18, 2),
  `agg_2` DECIMAL(18, 2),
  `agg_3` VARCHAR,
  `agg_4` DECIMAL(30, 1),
  `cut` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1mo_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_own_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_own_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_3`,
  COUNT(*) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_5m` END) AS `next_5m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_5m` END) AS `own_5m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1h` END) AS `next_1h`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1h` END) AS `own_1h`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1d` END) AS `next_1d`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1d` END) AS `own_1d`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1w` END) AS `next_1w`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1w` END) AS `own_1w`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1mo` END) AS `own_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_segment` END) AS `next_segment`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_segment` END) AS `own_segment`
FROM `t_trade_bars_v4_segment_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
WHERE (`kind` = 'tick') OR (`kind` = 'live')
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_own_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_3` VARCHAR,
  `version` BIGINT,
  `next_at` BIGINT,
  `next_day` BIGINT,
  `next_1m` BIGINT,
  `own_1m` BIGINT,
  `next_5m` BIGINT,
  `own_5m` BIGINT,
  `next_1h` BIGINT,
  `own_1h` BIGINT,
  `next_1d` BIGINT,
  `own_1d` BIGINT,
  `next_1w` BIGINT,
  `own_1w` BIGINT,
  `next_1mo` BIGINT,
  `own_1mo` BIGINT,
  `next_segment` BIGINT,
  `own_segment` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_own_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_trade_bars_v4_empty_fold` WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_empty_fold',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  RETENTION_MS = 3153600000000
) AS
SELECT
  `_key` AS `_key`,
  AS_VALUE(`_key`) AS `key_text`,
  `WINDOWSTART` AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(CASE WHEN `kind` = 'tick' THEN 1 END) AS `ticks`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_segment` <> `label_segment`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`,
  COUNT(*) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_5m` END) AS `next_5m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_5m` END) AS `own_5m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1h` END) AS `next_1h`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1h` END) AS `own_1h`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1d` END) AS `next_1d`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1d` END) AS `own_1d`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1w` END) AS `next_1w`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1w` END) AS `own_1w`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_1mo` END) AS `own_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `mark_segment` END) AS `next_segment`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_segment` <> `label_segment`) THEN `label_segment` END) AS `own_segment`
FROM `t_trade_bars_v4_segment_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
WHERE (`kind` = 'tick') OR (`kind` = 'live') OR (`kind` = 'carry')
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_empty_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `before_0` VARCHAR,
  `version` BIGINT,
  `next_at` BIGINT,
  `next_day` BIGINT,
  `next_1m` BIGINT,
  `own_1m` BIGINT,
  `next_5m` BIGINT,
  `own_5m` BIGINT,
  `next_1h` BIGINT,
  `own_1h` BIGINT,
  `next_1d` BIGINT,
  `own_1d` BIGINT,
  `next_1w` BIGINT,
  `own_1w` BIGINT,
  `next_1mo` BIGINT,
  `own_1mo` BIGINT,
  `next_segment` BIGINT,
  `own_segment` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_empty_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

INSERT INTO `t_trade_bars_v4_stamped`
SELECT
  `f`.`key_text` AS `_key`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 2)) AS `in_0`,
  CAST(NULL AS DECIMAL(18, 1)) AS `in_1`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_5m` AS BIGINT) AS `label_5m`,
  CAST(`f`.`next_1h` AS BIGINT) AS `label_1h`,
  CAST(`f`.`next_1d` AS BIGINT) AS `label_1d`,
  CAST(`f`.`next_1w` AS BIGINT) AS `label_1w`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  CAST(`f`.`next_segment` AS BIGINT) AS `label_segment`,
  'carry' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(100000000000000000 + `f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_5m` AS BIGINT) AS `mark_5m`,
  CAST(`f`.`own_1h` AS BIGINT) AS `mark_1h`,
  CAST(`f`.`own_1d` AS BIGINT) AS `mark_1d`,
  CAST(`f`.`own_1w` AS BIGINT) AS `mark_1w`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  CAST(`f`.`own_segment` AS BIGINT) AS `mark_segment`,
  CAST(CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS VARCHAR) AS `carried_0`
FROM `t_trade_bars_v4_own_rows` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` > 0)
PARTITION BY `f`.`key_text`
EMIT CHANGES;

INSERT INTO `t_trade_bars_v4_stamped`
SELECT
  `f`.`key_text` AS `_key`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 2)) AS `in_0`,
  CAST(NULL AS DECIMAL(18, 1)) AS `in_1`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_5m` AS BIGINT) AS `label_5m`,
  CAST(`f`.`next_1h` AS BIGINT) AS `label_1h`,
  CAST(`f`.`next_1d` AS BIGINT) AS `label_1d`,
  CAST(`f`.`next_1w` AS BIGINT) AS `label_1w`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  CAST(`f`.`next_segment` AS BIGINT) AS `label_segment`,
  'carry' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(`f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_5m` AS BIGINT) AS `mark_5m`,
  CAST(`f`.`own_1h` AS BIGINT) AS `mark_1h`,
  CAST(`f`.`own_1d` AS BIGINT) AS `mark_1d`,
  CAST(`f`.`own_1w` AS BIGINT) AS `mark_1w`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  CAST(`f`.`own_segment` AS BIGINT) AS `mark_segment`,
  SUBSTRING(`f`.`before_0`, 38) AS `carried_0`
FROM `t_trade_bars_v4_empty_rows` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` = 0)
  AND (`f`.`before_0` IS NOT NULL)
PARTITION BY `f`.`key_text`
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1m_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_1m',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_1m',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 60000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`day` AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1m_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_5m_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_5m',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_5m',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 300000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`day` AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_5m_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1h_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_1h',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_1h',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 3600000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`day` AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1h_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1d_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_1d',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_1d',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 86400000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`bucket_start` / 86400000 AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1d_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1w_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_1w',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_1w',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 604800000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`bucket_start` / 86400000 AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1w_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_trade_bars_v4_1mo_bars` WITH (
  KAFKA_TOPIC = 't.trade_bars_1mo',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.trade_bars_1mo',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST((`f`.`bucket_start` / 86400000) + 31 AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`bucket_start` / 86400000 AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1mo_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;
