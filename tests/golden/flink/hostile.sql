SET 'execution.runtime-mode' = 'streaming';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.state.ttl' = '0';

CREATE TEMPORARY TABLE `t_order_bars_v4_read` (
  `_key` STRING,
  `select` STRING,
  `group` STRING,
  `timestamp` BIGINT,
  `sequence` BIGINT,
  `size` DECIMAL(18, 18),
  `kind` STRING,
  `when` BIGINT,
  `day` INT,
  `window` DOUBLE,
  `final_` BOOLEAN,
  `_offset` BIGINT METADATA FROM 'offset' VIRTUAL,
  `_read` AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t.order',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'key.fields' = '_key',
  'scan.startup.mode' = 'earliest-offset'
);

CREATE TEMPORARY VIEW `t_order_bars_v4_ticks` AS
SELECT
  `t`.`_key` AS `_key`,
  `t`.`_offset` AS `_offset`,
  `t`.`_read` AS `_read`,
  `t`.`select` AS `select`,
  `t`.`group` AS `group`,
  `t`.`timestamp` AS `timestamp`,
  `t`.`sequence` AS `sequence`,
  `t`.`size` AS `size`,
  `t`.`kind` AS `kind`,
  `t`.`when` AS `when`,
  `t`.`day` AS `day`,
  `t`.`window` AS `window`,
  `t`.`final_` AS `final_`,
  MAX(LEAST(`t`.`timestamp`, UNIX_TIMESTAMP() * 1000)) OVER (PARTITION BY `t`.`_key` ORDER BY `t`.`_read` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS `_newest`
FROM `t_order_bars_v4_read` `t`;

CREATE TEMPORARY VIEW `t_order_bars_v4_counted` AS
SELECT
  `t`.`_key` AS `_key`,
  (`t`.`timestamp` / 1000) * 1000 AS `atom`,
  `t`.`_read` AS `_read`,
  `t`.`select` AS `group_0`,
  `t`.`group` AS `group_1`,
  `t`.`timestamp` AS `at`,
  CONCAT(LPAD(CAST(`t`.`timestamp` AS STRING), 15, '0'), '|', CASE WHEN `t`.`sequence` < 0 THEN CONCAT('0', LPAD(CAST(9223372036854775807 - (-1 - `t`.`sequence`) AS STRING), 19, '0')) ELSE CONCAT('1', LPAD(CAST(`t`.`sequence` AS STRING), 19, '0')) END) AS `place`,
  `t`.`_offset` AS `cut`,
  `t`.`size` AS `in_0`,
  `t`.`window` AS `in_1`
FROM `t_order_bars_v4_ticks` `t`
WHERE (`t`.`timestamp` >= (`t`.`_newest` - 604800000))
  AND (`t`.`select` IS NOT NULL)
  AND (`t`.`group` IS NOT NULL)
  AND (`t`.`timestamp` IS NOT NULL)
  AND (`t`.`sequence` IS NOT NULL)
  AND (`t`.`size` IS NOT NULL)
  AND (`t`.`window` IS NOT NULL)
  AND (`t`.`timestamp` >= 0)
  AND (COALESCE(`t`.`kind`, 'it''s ${a}') <> U&'o''clock ${b} \005C \001F')
  AND (COALESCE(`t`.`when`, CAST(1704067200000 AS BIGINT)) > 1672531200000)
  AND ((CAST(COALESCE(`t`.`day`, CAST(19723 AS INT)) AS BIGINT) >= 19358) OR (COALESCE(`t`.`final_`, TRUE) = FALSE))
  AND (`t`.`window` <= 1.7976931348623157E308)
  AND (`t`.`window` >= -1.7976931348623157E308);

CREATE TEMPORARY VIEW `t_order_bars_v4_atoms` AS
SELECT
  `i`.`_key` AS `_key`,
  `i`.`atom` AS `atom`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(*) AS `ticks`,
  MAX(`cut`) AS `cut`,
  MAX(CONCAT(`place`, '|', CAST(`in_0` AS STRING))) AS `agg_0`,
  CAST(SUM(CAST(`in_1` AS DOUBLE)) AS DOUBLE) AS `agg_1`,
  MIN(`in_1`) AS `agg_2`,
  MIN(`place`) AS `first_place`
FROM TABLE(TUMBLE(TABLE `t_order_bars_v4_counted`, DESCRIPTOR(`_read`), INTERVAL '0.500' SECOND)) `i`
GROUP BY `i`.`window_start`, `i`.`window_end`, `i`.`_key`, `i`.`atom`;

CREATE TEMPORARY TABLE `t_order_bars_v4_hb` (
  `_key` STRING,
  `select` STRING,
  `group` STRING,
  `base` STRING,
  `kind` STRING,
  `at` BIGINT,
  `due` BIGINT,
  `bucket_start` BIGINT,
  `bucket_end` BIGINT,
  `market_date` INT,
  `session_open` BIGINT,
  `closes` ARRAY<STRING>,
  `next_at` BIGINT,
  `next_bucket_start` BIGINT,
  `next_market_date` INT,
  `next_session_open` BIGINT,
  `source_cut` BIGINT,
  `epoch` BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t.order_hb',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'key.fields' = '_key',
  'scan.startup.mode' = 'earliest-offset'
);

CREATE TEMPORARY TABLE `t_order_bars_v4_carry` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_1m` BIGINT,
  `label_1mo` BIGINT,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t_order_bars_v4_carry',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'key.fields' = '_key',
  'scan.startup.mode' = 'earliest-offset'
);

CREATE TEMPORARY VIEW `t_order_bars_v4_stamped` AS
SELECT
  `a`.`_key` AS `_key`,
  `a`.`group_0` AS `group_0`,
  `a`.`group_1` AS `group_1`,
  CAST(`a`.`atom` AS BIGINT) AS `at`,
  CAST(`a`.`atom` / 86400000 AS BIGINT) AS `day`,
  CAST(`a`.`ticks` AS BIGINT) AS `ticks`,
  CAST(`a`.`cut` AS BIGINT) AS `cut`,
  `a`.`agg_0` AS `agg_0`,
  CAST(`a`.`agg_1` AS DOUBLE) AS `agg_1`,
  CAST(`a`.`agg_2` AS DOUBLE) AS `agg_2`,
  `a`.`first_place` AS `first_place`,
  CAST((`a`.`atom` / 60000) * 60000 AS BIGINT) AS `label_1m`,
  CAST(((`a`.`atom` / 86400000) - (DAYOFMONTH(CAST(CAST(TO_TIMESTAMP_LTZ((`a`.`atom` / 86400000) * 86400000, 3) AS TIMESTAMP(3)) AS DATE)) - 1)) * 86400000 AS BIGINT) AS `label_1mo`,
  CAST(`a`.`ticks` AS BIGINT) AS `weight`,
  CAST('tick' AS STRING) AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(NULL AS BIGINT) AS `mark_1m`,
  CAST(NULL AS BIGINT) AS `mark_1mo`,
  CAST(NULL AS STRING) AS `carried_0`
FROM TABLE(TO_CHANGELOG(input => TABLE `t_order_bars_v4_atoms`, op_mapping => MAP['INSERT', 'INSERT'], uid => 't_order_bars_v4_atoms')) `a`
UNION ALL
SELECT
  `h`.`_key` AS `_key`,
  `h`.`select` AS `group_0`,
  `h`.`group` AS `group_1`,
  CAST(`h`.`at` AS BIGINT) AS `at`,
  CAST(CAST(`h`.`market_date` AS BIGINT) AS BIGINT) AS `day`,
  CAST(0 AS BIGINT) AS `ticks`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(NULL AS STRING) AS `agg_0`,
  CAST(NULL AS DOUBLE) AS `agg_1`,
  CAST(NULL AS DOUBLE) AS `agg_2`,
  CAST(NULL AS STRING) AS `first_place`,
  CAST(`h`.`bucket_start` AS BIGINT) AS `label_1m`,
  CAST((CAST(`h`.`market_date` AS BIGINT) - (DAYOFMONTH(CAST(CAST(TO_TIMESTAMP_LTZ(CAST(`h`.`market_date` AS BIGINT) * 86400000, 3) AS TIMESTAMP(3)) AS DATE)) - 1)) * 86400000 AS BIGINT) AS `label_1mo`,
  CAST(1 AS BIGINT) AS `weight`,
  `h`.`kind` AS `kind`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN `h`.`next_at` END AS BIGINT) AS `next_at`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(`h`.`next_market_date` AS BIGINT) END AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN `h`.`next_bucket_start` WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1m') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1m`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN (CAST(`h`.`next_market_date` AS BIGINT) - (DAYOFMONTH(CAST(CAST(TO_TIMESTAMP_LTZ(CAST(`h`.`next_market_date` AS BIGINT) * 86400000, 3) AS TIMESTAMP(3)) AS DATE)) - 1)) * 86400000 WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '1mo') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_1mo`,
  CAST(NULL AS STRING) AS `carried_0`
FROM `t_order_bars_v4_hb` `h`
WHERE (`h`.`base` = '1m')
  AND ((`h`.`kind` = 'live') OR (`h`.`kind` = 'final'))
UNION ALL
SELECT
  `c`.`key_text` AS `_key`,
  `c`.`group_0` AS `group_0`,
  `c`.`group_1` AS `group_1`,
  `c`.`at` AS `at`,
  `c`.`day` AS `day`,
  CAST(0 AS BIGINT) AS `ticks`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(NULL AS STRING) AS `agg_0`,
  CAST(NULL AS DOUBLE) AS `agg_1`,
  CAST(NULL AS DOUBLE) AS `agg_2`,
  CAST(NULL AS STRING) AS `first_place`,
  `c`.`label_1m` AS `label_1m`,
  `c`.`label_1mo` AS `label_1mo`,
  CAST(1 AS BIGINT) AS `weight`,
  CAST('carry' AS STRING) AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  `c`.`version` AS `version`,
  `c`.`mark_1m` AS `mark_1m`,
  `c`.`mark_1mo` AS `mark_1mo`,
  `c`.`carried_0` AS `carried_0`
FROM `t_order_bars_v4_carry` `c`;

CREATE TEMPORARY VIEW `t_order_bars_v4_1m_fold` AS
SELECT /*+ STATE_TTL('i' = '691260s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MAX(`agg_0`) AS `agg_0`,
  CAST(SUM(CAST(`agg_1` AS DOUBLE)) AS DOUBLE) AS `agg_1`,
  MIN(`agg_2`) AS `agg_2`,
  MIN(`first_place`) AS `first_place`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1m` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1m` <> `label_1m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS STRING), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS STRING), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_order_bars_v4_stamped` `i`
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_order_bars_v4_1mo_fold` AS
SELECT /*+ STATE_TTL('i' = '3974400s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MAX(`agg_0`) AS `agg_0`,
  CAST(SUM(CAST(`agg_1` AS DOUBLE)) AS DOUBLE) AS `agg_1`,
  MIN(`agg_2`) AS `agg_2`,
  MIN(`first_place`) AS `first_place`,
  MAX(`cut`) AS `cut`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_1mo` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1mo` <> `label_1mo`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS STRING), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS STRING), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_order_bars_v4_stamped` `i`
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1mo` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_order_bars_v4_own_fold` AS
SELECT /*+ STATE_TTL('i' = '691260s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MAX(`agg_0`) AS `agg_0`,
  SUM(`weight`) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1mo` END) AS `own_1mo`
FROM `t_order_bars_v4_stamped` `i`
WHERE (`kind` = 'tick') OR (`kind` = 'live')
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_order_bars_v4_empty_fold` AS
SELECT /*+ STATE_TTL('i' = '691260s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_1m` <> `label_1m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS STRING), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS STRING), 19, '0'))), '|', `carried_0`) END) AS `before_0`,
  SUM(`weight`) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1m` END) AS `next_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1m` END) AS `own_1m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `mark_1mo` END) AS `next_1mo`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_1m` <> `label_1m`) THEN `label_1mo` END) AS `own_1mo`
FROM `t_order_bars_v4_stamped` `i`
WHERE (`kind` = 'tick') OR (`kind` = 'live') OR (`kind` = 'carry')
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'));

CREATE TEMPORARY TABLE `t_order_bars_v4_1m_bars` (
  `_key` STRING,
  `select` STRING,
  `group` STRING,
  `bucket_start` TIMESTAMP(3),
  `bucket_end` TIMESTAMP(3),
  `market_date` DATE,
  `size` DECIMAL(18, 18),
  `limit` DOUBLE,
  `table` DOUBLE,
  `ticks` BIGINT,
  `final` BOOLEAN,
  `synthetic` BOOLEAN,
  `first_at` TIMESTAMP(3),
  `first_seq` BIGINT,
  `last_at` TIMESTAMP(3),
  `last_seq` BIGINT,
  `source_cut` BIGINT,
  `origin` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t.order_bars_1m',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.order_bars_1m-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "order_bars_1m", "namespace": "ashioto.t", "fields": [{"name": "select", "type": ["null", "string"], "default": null}, {"name": "group", "type": ["null", "string"], "default": null}, {"name": "bucket_start", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "bucket_end", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "market_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "size", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 18}], "default": null, "arrow": "decimal64"}, {"name": "limit", "type": ["null", "double"], "default": null}, {"name": "table", "type": ["null", "double"], "default": null}, {"name": "ticks", "type": ["null", "long"], "default": null}, {"name": "final", "type": ["null", "boolean"], "default": null}, {"name": "synthetic", "type": ["null", "boolean"], "default": null}, {"name": "first_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "first_seq", "type": ["null", "long"], "default": null}, {"name": "last_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "last_seq", "type": ["null", "long"], "default": null}, {"name": "source_cut", "type": ["null", "long"], "default": null}, {"name": "origin", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_order_bars_v4_1mo_bars` (
  `_key` STRING,
  `select` STRING,
  `group` STRING,
  `bucket_start` TIMESTAMP(3),
  `bucket_end` TIMESTAMP(3),
  `market_date` DATE,
  `size` DECIMAL(18, 18),
  `limit` DOUBLE,
  `table` DOUBLE,
  `ticks` BIGINT,
  `final` BOOLEAN,
  `synthetic` BOOLEAN,
  `first_at` TIMESTAMP(3),
  `first_seq` BIGINT,
  `last_at` TIMESTAMP(3),
  `last_seq` BIGINT,
  `source_cut` BIGINT,
  `origin` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t.order_bars_1mo',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.order_bars_1mo-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "order_bars_1mo", "namespace": "ashioto.t", "fields": [{"name": "select", "type": ["null", "string"], "default": null}, {"name": "group", "type": ["null", "string"], "default": null}, {"name": "bucket_start", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "bucket_end", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "market_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "size", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 18}], "default": null, "arrow": "decimal64"}, {"name": "limit", "type": ["null", "double"], "default": null}, {"name": "table", "type": ["null", "double"], "default": null}, {"name": "ticks", "type": ["null", "long"], "default": null}, {"name": "final", "type": ["null", "boolean"], "default": null}, {"name": "synthetic", "type": ["null", "boolean"], "default": null}, {"name": "first_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "first_seq", "type": ["null", "long"], "default": null}, {"name": "last_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "last_seq", "type": ["null", "long"], "default": null}, {"name": "source_cut", "type": ["null", "long"], "default": null}, {"name": "origin", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_order_bars_v4_own_out` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_1m` BIGINT,
  `label_1mo` BIGINT,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t_order_bars_v4_carry',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t_order_bars_v4_carry-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "t_order_bars_v4_carry", "namespace": "ashioto", "fields": [{"name": "key_text", "type": ["null", "string"], "default": null}, {"name": "group_0", "type": ["null", "string"], "default": null}, {"name": "group_1", "type": ["null", "string"], "default": null}, {"name": "at", "type": ["null", "long"], "default": null}, {"name": "day", "type": ["null", "long"], "default": null}, {"name": "label_1m", "type": ["null", "long"], "default": null}, {"name": "label_1mo", "type": ["null", "long"], "default": null}, {"name": "version", "type": ["null", "long"], "default": null}, {"name": "mark_1m", "type": ["null", "long"], "default": null}, {"name": "mark_1mo", "type": ["null", "long"], "default": null}, {"name": "carried_0", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_order_bars_v4_empty_out` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_1m` BIGINT,
  `label_1mo` BIGINT,
  `version` BIGINT,
  `mark_1m` BIGINT,
  `mark_1mo` BIGINT,
  `carried_0` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t_order_bars_v4_carry',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t_order_bars_v4_carry-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "t_order_bars_v4_carry", "namespace": "ashioto", "fields": [{"name": "key_text", "type": ["null", "string"], "default": null}, {"name": "group_0", "type": ["null", "string"], "default": null}, {"name": "group_1", "type": ["null", "string"], "default": null}, {"name": "at", "type": ["null", "long"], "default": null}, {"name": "day", "type": ["null", "long"], "default": null}, {"name": "label_1m", "type": ["null", "long"], "default": null}, {"name": "label_1mo", "type": ["null", "long"], "default": null}, {"name": "version", "type": ["null", "long"], "default": null}, {"name": "mark_1m", "type": ["null", "long"], "default": null}, {"name": "mark_1mo", "type": ["null", "long"], "default": null}, {"name": "carried_0", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_order_bars_v4_late` (
  `_key` STRING,
  `select` STRING,
  `group` STRING,
  `timestamp` TIMESTAMP(3),
  `sequence` BIGINT,
  `size` DECIMAL(18, 18),
  `kind` STRING,
  `when` TIMESTAMP(3),
  `day` DATE,
  `window` DOUBLE,
  `final_` BOOLEAN,
  `reason` STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t.order_late',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.order_late-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "order_late", "namespace": "ashioto.t", "fields": [{"name": "select", "type": ["null", "string"], "default": null, "arrow": "dictionary"}, {"name": "group", "type": ["null", "string"], "default": null, "arrow": "dictionary"}, {"name": "timestamp", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "sequence", "type": ["null", "long"], "default": null}, {"name": "size", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 18}], "default": null, "arrow": "decimal64"}, {"name": "kind", "type": ["null", "string"], "default": null, "arrow": "dictionary"}, {"name": "when", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "window", "type": ["null", "double"], "default": null}, {"name": "final_", "type": ["null", "boolean"], "default": null}, {"name": "reason", "type": ["null", "string"], "default": null}]}',
  'key.fields' = '_key'
);

EXECUTE STATEMENT SET BEGIN
INSERT INTO `t_order_bars_v4_1m_bars`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`group_0` AS `select`,
  `f`.`group_1` AS `group`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start`, 3) AS TIMESTAMP(3)) AS `bucket_start`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start` + 60000, 3) AS TIMESTAMP(3)) AS `bucket_end`,
  CAST(CAST(TO_TIMESTAMP_LTZ(`f`.`day` * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 18)) END END AS `size`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE 0.0E0 END AS `limit`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE 0.0E0 END AS `table`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`first_place`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`first_place`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT)) END END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`agg_0`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT)) END END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  CAST('stream' AS STRING) AS `origin`
FROM `t_order_bars_v4_1m_fold` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL);
INSERT INTO `t_order_bars_v4_1mo_bars`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`group_0` AS `select`,
  `f`.`group_1` AS `group`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start`, 3) AS TIMESTAMP(3)) AS `bucket_start`,
  CAST(TO_TIMESTAMP_LTZ((((`f`.`bucket_start` / 86400000) + 31) - (DAYOFMONTH(CAST(CAST(TO_TIMESTAMP_LTZ(((`f`.`bucket_start` / 86400000) + 31) * 86400000, 3) AS TIMESTAMP(3)) AS DATE)) - 1)) * 86400000, 3) AS TIMESTAMP(3)) AS `bucket_end`,
  CAST(CAST(TO_TIMESTAMP_LTZ((`f`.`bucket_start` / 86400000) * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 18)) END END AS `size`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE 0.0E0 END AS `limit`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE 0.0E0 END AS `table`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`first_place`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`first_place`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`first_place`, 18, 19) AS BIGINT)) END END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN SUBSTRING(`f`.`agg_0`, 17, 1) = '1' THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) ELSE -1 - (9223372036854775807 - CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT)) END END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  CAST('stream' AS STRING) AS `origin`
FROM `t_order_bars_v4_1mo_fold` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL);
INSERT INTO `t_order_bars_v4_own_out`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`key_text` AS `key_text`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  CAST(100000000000000000 + `f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  CAST(CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 18)) AS STRING) AS `carried_0`
FROM `t_order_bars_v4_own_fold` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` > 0);
INSERT INTO `t_order_bars_v4_empty_out`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`key_text` AS `key_text`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(`f`.`next_1m` AS BIGINT) AS `label_1m`,
  CAST(`f`.`next_1mo` AS BIGINT) AS `label_1mo`,
  CAST(`f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_1m` AS BIGINT) AS `mark_1m`,
  CAST(`f`.`own_1mo` AS BIGINT) AS `mark_1mo`,
  SUBSTRING(`f`.`before_0`, 38) AS `carried_0`
FROM `t_order_bars_v4_empty_fold` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` = 0)
  AND (`f`.`before_0` IS NOT NULL);
INSERT INTO `t_order_bars_v4_late`
SELECT
  `t`.`_key` AS `_key`,
  `t`.`select` AS `select`,
  `t`.`group` AS `group`,
  CAST(TO_TIMESTAMP_LTZ(`t`.`timestamp`, 3) AS TIMESTAMP(3)) AS `timestamp`,
  `t`.`sequence` AS `sequence`,
  `t`.`size` AS `size`,
  `t`.`kind` AS `kind`,
  CAST(TO_TIMESTAMP_LTZ(`t`.`when`, 3) AS TIMESTAMP(3)) AS `when`,
  CAST(CAST(TO_TIMESTAMP_LTZ(`t`.`day` * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `day`,
  `t`.`window` AS `window`,
  `t`.`final_` AS `final_`,
  CAST('older than the retention of 604800 s' AS STRING) AS `reason`
FROM `t_order_bars_v4_ticks` `t`
WHERE `t`.`timestamp` < (`t`.`_newest` - 604800000);
END;
