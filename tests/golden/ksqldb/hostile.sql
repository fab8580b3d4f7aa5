CREATE STREAM `t_order_bars_v4_ticks` (
  `_key` VARCHAR KEY,
  `select` VARCHAR,
  `group` VARCHAR,
  `timestamp` TIMESTAMP,
  `sequence` BIGINT,
  `size` DECIMAL(18, 18),
  `kind` VARCHAR,
  `when` TIMESTAMP,
  `day` DATE,
  `window` DOUBLE,
  `final_` BOOLEAN
) WITH (
  KAFKA_TOPIC = 't.order',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`timestamp`'
);

CREATE STREAM `t_order_bars_v4_hb` (
  `_key` VARCHAR KEY,
  `select` VARCHAR,
  `group` VARCHAR,
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
  KAFKA_TOPIC = 't.order_hb',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`at`'
);

CREATE STREAM `t_order_bars_v4_stamped` WITH (
  KAFKA_TOPIC = 't_order_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO'
) AS
SELECT
  `t`.`_key` AS `_key`,
  `t`.`select` AS `group_0`,
  `t`.`group` AS `group_1`,
  CAST(UNIX_TIMESTAMP(`t`.`timestamp`) AS BIGINT) AS `at`,
  CONCAT(LPAD(CAST(UNIX_TIMESTAMP(`t`.`timestamp`) AS VARCHAR), 15, '0'), '|', CASE WHEN `t`.`sequence` < 0 THEN CONCAT('0', LPAD(CAST(9223372036854775807 - (-1 - `t`.`sequence`) AS VARCHAR), 19, '0')) ELSE CONCAT('1', LPAD(CAST(`t`.`sequence` AS VARCHAR), 19, '0')) END) AS `place`,
  CAST(`t`.`ROWOFFSET` AS BIGINT) AS `cut`,
  CAST(UNIX_TIMESTAMP(`t`.`timestamp`) / 86400000 AS BIGINT) AS `day`,
  CAST(`t`.`size` AS DECIMAL(18, 18)) AS `in_0`,
  CAST(`t`.`window` AS DOUBLE) AS `in_1`,
  CAST((UNIX_TIMESTAMP(`t`.`timestamp`) / 60000) * 60000 AS BIGINT) AS `label_1m`,
  CAST(CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(UNIX_TIMESTAMP(`t`.`timestamp`) / 86400000 AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000 AS BIGINT) AS `label_1mo`,
  'tick' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(NULL AS BIGINT) AS `mark_1m`,
  CAST(NULL AS BIGINT) AS `mark_1mo`,
  CAST(NULL AS VARCHAR) AS `carried_0`
FROM `t_order_bars_v4_ticks` `t`
WHERE (`t`.`select` IS NOT NULL)
  AND (`t`.`group` IS NOT NULL)
  AND (`t`.`timestamp` IS NOT NULL)
  AND (`t`.`sequence` IS NOT NULL)
  AND (`t`.`size` IS NOT NULL)
  AND (`t`.`window` IS NOT NULL)
  AND (UNIX_TIMESTAMP(`t`.`timestamp`) >= 0)
  AND (COALESCE(`t`.`kind`, CONCAT('it''s $', '{a}')) <> CONCAT('o''clock $', '{b} \ '))
  AND (UNIX_TIMESTAMP(COALESCE(`t`.`when`, FROM_UNIXTIME(1704067200000))) > 1672531200000)
  AND ((CAST(UNIX_DATE(COALESCE(`t`.`day`, FROM_DAYS(CAST(19723 AS INTEGER)))) AS BIGINT) >= 19358) OR (COALESCE(`t`.`final_`, TRUE) = FALSE))
  AND (`t`.`window` <= 1.7976931348623157E308)
  AND (`t`.`window` >= -1.7976931348623157E308)
EMIT CHANGES;

INSERT INTO `t_order_bars_v4_stamped`
SELECT
  `h`.`_key` AS `_key`,
  `h`.`select` AS `group_0`,
  `h`.`group` AS `group_1`,
  CAST(UNIX_TIMESTAMP(`h`.`at`) AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 18)) AS `in_0`,
  CAST(NULL AS DOUBLE) AS `in_1`,
  CAST(UNIX_TIMESTAMP(`h`.`bucket_start`) AS BIGINT) AS `label_1m`,
  CAST(CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(CAST(UNIX_DATE(`h`.`market_date`) AS BIGINT) AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000 AS BIGINT) AS `label_1mo`,
  `h`.`kind` AS `kind`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN UNIX_TIMESTAMP(`h`.`next_at`) END AS BIGINT) AS `next_at`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) END AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN UNIX_TIMESTAMP(`h`.`next_bucket_start`) WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1m') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1m`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST(CAST(UNIX_DATE(`h`.`next_market_date`) AS BIGINT) AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1mo') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1mo`,
  CAST(NULL AS VARCHAR) AS `carried_0`
FROM `t_order_bars_v4_hb` `h`
WHERE (`h`.`base` = '1m')
  AND ((`h`.`kind` = 'live') OR (`h`.`kind` = 'final'))
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_1m_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 18),
  `in_1` DOUBLE,
  `label_1m` BIGINT,
  `label_1mo` BIGINT,
  `kind` VARCHAR,
  `next_at` BIGINT,
  `next_day` BIGINT,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1m`'
);

CREATE STREAM `t_order_bars_v4_1mo_in` (
  `_key` VARCHAR KEY,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `at` BIGINT,
  `place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `in_0` DECIMAL(18, 18),
  `in_1` DOUBLE,
  `label_1mo` BIGINT,
  `kind` VARCHAR,
  `version` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1mo`'
);

CREATE TABLE `t_order_bars_v4_1m_fold` WITH (
  KAFKA_TOPIC = 't_order_bars_v4_1m_fold',
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
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  SUM(CAST(`in_1` AS DOUBLE)) AS `agg_1`,
  MIN(`in_1`) AS `agg_2`,
  MIN(`place`) AS `first_place`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1m` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1m` <> `label_1m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_order_bars_v4_1m_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_1m_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DOUBLE,
  `agg_2` DOUBLE,
  `first_place` VARCHAR,
  `cut` BIGINT,
  `day` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_1m_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_order_bars_v4_1mo_fold` WITH (
  KAFKA_TOPIC = 't_order_bars_v4_1mo_fold',
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
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  SUM(CAST(`in_1` AS DOUBLE)) AS `agg_1`,
  MIN(`in_1`) AS `agg_2`,
  MIN(`place`) AS `first_place`,
  MAX(`cut`) AS `cut`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1mo` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1mo` <> `label_1mo`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_order_bars_v4_1mo_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 46 DAYS, GRACE PERIOD 45 DAYS)
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_1mo_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `agg_1` DOUBLE,
  `agg_2` DOUBLE,
  `first_place` VARCHAR,
  `cut` BIGINT,
  `closed` BIGINT,
  `before_0` VARCHAR
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_1mo_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_order_bars_v4_own_fold` WITH (
  KAFKA_TOPIC = 't_order_bars_v4_own_fold',
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
  MAX(CASE WHEN `kind` = 'tick' THEN CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR)) END) AS `agg_0`,
  COUNT(*) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1mo` END) AS `own_1mo`
FROM `t_order_bars_v4_1m_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
WHERE (`kind` = 'tick') OR (`kind` = 'live')
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_own_rows` (
  `key_text` VARCHAR,
  `bucket_start` BIGINT,
  `group_0` VARCHAR,
  `group_1` VARCHAR,
  `ticks` BIGINT,
  `agg_0` VARCHAR,
  `version` BIGINT,
  `next_at` BIGINT,
  `next_day` BIGINT,
  `next_1m` BIGINT,
  `own_1m` BIGINT,
  `next_1mo` BIGINT,
  `own_1mo` BIGINT
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_own_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

CREATE TABLE `t_order_bars_v4_empty_fold` WITH (
  KAFKA_TOPIC = 't_order_bars_v4_empty_fold',
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
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1m` <> `label_1m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS VARCHAR), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS VARCHAR), 19, '0'))), '|', `carried_0`) END) AS `before_0`,
  COUNT(*) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1mo` END) AS `own_1mo`
FROM `t_order_bars_v4_1m_in` `i`
WINDOW TUMBLING (SIZE 1 MILLISECONDS, RETENTION 11521 MINUTES, GRACE PERIOD 10081 MINUTES)
WHERE (`kind` = 'tick') OR (`kind` = 'live') OR (`kind` = 'carry')
GROUP BY `_key`
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_empty_rows` (
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
  `next_1mo` BIGINT,
  `own_1mo` BIGINT
) WITH (
  KAFKA_TOPIC = 't_order_bars_v4_empty_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

INSERT INTO `t_order_bars_v4_stamped`
SELECT
  `f`.`key_text` AS `_key`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 18)) AS `in_0`,
  CAST(NULL AS DOUBLE) AS `in_1`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  'carry' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(100000000000000000 + `f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  CAST(CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) AS VARCHAR) AS `carried_0`
FROM `t_order_bars_v4_own_rows` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` > 0)
PARTITION BY `f`.`key_text`
EMIT CHANGES;

INSERT INTO `t_order_bars_v4_stamped`
SELECT
  `f`.`key_text` AS `_key`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(NULL AS VARCHAR) AS `place`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(NULL AS DECIMAL(18, 18)) AS `in_0`,
  CAST(NULL AS DOUBLE) AS `in_1`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  'carry' AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(`f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  SUBSTRING(`f`.`before_0`, 38) AS `carried_0`
FROM `t_order_bars_v4_empty_rows` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` = 0)
  AND (`f`.`before_0` IS NOT NULL)
PARTITION BY `f`.`key_text`
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_1m_bars` WITH (
  KAFKA_TOPIC = 't.order_bars_1m',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.order_bars_1m',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `select`,
  `f`.`group_1` AS `group`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(`f`.`bucket_start` + 60000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`day` AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 18)) END END AS `size`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE 0.0E0 END AS `limit`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE 0.0E0 END AS `table`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`first_place`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`first_place`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT)) END END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`agg_0`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT)) END END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_order_bars_v4_1m_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;

CREATE STREAM `t_order_bars_v4_1mo_bars` WITH (
  KAFKA_TOPIC = 't.order_bars_1mo',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  VALUE_AVRO_SCHEMA_FULL_NAME = 'ashioto.t.order_bars_1mo',
  TIMESTAMP = '`bucket_start`',
  RETENTION_MS = -1
) AS
SELECT
  CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0')) AS `_key`,
  `f`.`group_0` AS `select`,
  `f`.`group_1` AS `group`,
  FROM_UNIXTIME(`f`.`bucket_start`) AS `bucket_start`,
  FROM_UNIXTIME(CAST(UNIX_DATE(PARSE_DATE(CONCAT(FORMAT_DATE(FROM_DAYS(CAST((`f`.`bucket_start` / 86400000) + 31 AS INTEGER)), 'yyyy-MM'), '-01'), 'yyyy-MM-dd')) AS BIGINT) * 86400000) AS `bucket_end`,
  FROM_DAYS(CAST(`f`.`bucket_start` / 86400000 AS INTEGER)) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 18)) END END AS `size`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE 0.0E0 END AS `limit`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE 0.0E0 END AS `table`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`first_place`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`first_place`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT)) END END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`agg_0`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT)) END END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_order_bars_v4_1mo_rows` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL)
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;
