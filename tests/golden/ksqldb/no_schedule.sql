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
  CAST(UNIX_TIMESTAMP(`t`.`at`) / 86400000 AS BIGINT) AS `day`,
  CAST(`t`.`price` AS DECIMAL(18, 2)) AS `in_0`,
  CAST(COALESCE(`t`.`size`, CAST('1.0' AS DECIMAL(18, 1))) AS DECIMAL(18, 1)) AS `in_1`,
  CAST((UNIX_TIMESTAMP(`t`.`at`) / 60000) * 60000 AS BIGINT) AS `label_1m`,
  CAST((UNIX_TIMESTAMP(`t`.`at`) / 86400000) * 86400000 AS BIGINT) AS `label_1d`
FROM `t_trade_bars_v4_ticks` `t`
WHERE (`t`.`venue` IS NOT NULL)
  AND (`t`.`symbol` IS NOT NULL)
  AND (`t`.`at` IS NOT NULL)
  AND (`t`.`price` IS NOT NULL)
  AND (UNIX_TIMESTAMP(`t`.`at`) >= 0)
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
  `label_1m` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1m`'
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
  `label_1d` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_stamped',
  KEY_FORMAT = 'KAFKA',
  VALUE_FORMAT = 'AVRO',
  TIMESTAMP = '`label_1d`'
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
  COUNT(*) AS `ticks`,
  MIN(CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR))) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR))) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`
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
  `day` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1m_fold',
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
  COUNT(*) AS `ticks`,
  MIN(CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR))) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CONCAT(`place`, '|', CAST(`in_0` AS VARCHAR))) AS `agg_3`,
  SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS `agg_4`,
  MAX(`cut`) AS `cut`
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
  `cut` BIGINT
) WITH (
  KAFKA_TOPIC = 't_trade_bars_v4_1d_fold',
  KEY_FORMAT = 'NONE',
  VALUE_FORMAT = 'AVRO'
);

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
  CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) AS `open`,
  `f`.`agg_1` AS `high`,
  `f`.`agg_2` AS `low`,
  CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS `close`,
  CAST(`f`.`agg_4` AS DECIMAL(18, 1)) AS `volume`,
  `f`.`ticks` AS `ticks`,
  FALSE AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1m_rows` `f`
WHERE `f`.`ticks` > 0
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
  CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) AS `open`,
  `f`.`agg_1` AS `high`,
  `f`.`agg_2` AS `low`,
  CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS `close`,
  CAST(`f`.`agg_4` AS DECIMAL(18, 1)) AS `volume`,
  `f`.`ticks` AS `ticks`,
  FALSE AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN FROM_UNIXTIME(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  'stream' AS `origin`
FROM `t_trade_bars_v4_1d_rows` `f`
WHERE `f`.`ticks` > 0
PARTITION BY CONCAT_WS(CHR(31), `f`.`key_text`, LPAD(CAST(`f`.`bucket_start` AS VARCHAR), 13, '0'))
EMIT CHANGES;
