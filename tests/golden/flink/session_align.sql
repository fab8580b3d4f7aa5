SET 'execution.runtime-mode' = 'streaming';
SET 'table.local-time-zone' = 'UTC';
SET 'table.exec.state.ttl' = '0';

CREATE TEMPORARY TABLE `t_trade_bars_v4_read` (
  `_key` STRING,
  `venue` STRING,
  `symbol` STRING,
  `at` BIGINT,
  `price` DECIMAL(18, 2),
  `size` DECIMAL(18, 1),
  `lots` BIGINT,
  `weight` DOUBLE,
  `_offset` BIGINT METADATA FROM 'offset' VIRTUAL,
  `_read` AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t.trade',
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

CREATE TEMPORARY VIEW `t_trade_bars_v4_ticks` AS
SELECT
  `t`.`_key` AS `_key`,
  `t`.`_offset` AS `_offset`,
  `t`.`_read` AS `_read`,
  `t`.`venue` AS `venue`,
  `t`.`symbol` AS `symbol`,
  `t`.`at` AS `at`,
  `t`.`price` AS `price`,
  `t`.`size` AS `size`,
  `t`.`lots` AS `lots`,
  `t`.`weight` AS `weight`,
  MAX(LEAST(`t`.`at`, UNIX_TIMESTAMP() * 1000)) OVER (PARTITION BY `t`.`_key` ORDER BY `t`.`_read` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS `_newest`
FROM `t_trade_bars_v4_read` `t`;

CREATE TEMPORARY VIEW `t_trade_bars_v4_counted` AS
SELECT
  `t`.`_key` AS `_key`,
  (`t`.`at` / 1000) * 1000 AS `atom`,
  `t`.`_read` AS `_read`,
  `t`.`venue` AS `group_0`,
  `t`.`symbol` AS `group_1`,
  `t`.`at` AS `at`,
  CONCAT(LPAD(CAST(`t`.`at` AS STRING), 15, '0'), '|', CONCAT('1', LPAD(CAST(`t`.`_offset` AS STRING), 19, '0'))) AS `place`,
  `t`.`_offset` AS `cut`,
  `t`.`price` AS `in_0`,
  COALESCE(`t`.`size`, CAST('1.0' AS DECIMAL(18, 1))) AS `in_1`
FROM `t_trade_bars_v4_ticks` `t`
WHERE (`t`.`at` >= (`t`.`_newest` - 604800000))
  AND (`t`.`venue` IS NOT NULL)
  AND (`t`.`symbol` IS NOT NULL)
  AND (`t`.`at` IS NOT NULL)
  AND (`t`.`price` IS NOT NULL)
  AND (`t`.`at` >= 0);

CREATE TEMPORARY VIEW `t_trade_bars_v4_atoms` AS
SELECT
  `i`.`_key` AS `_key`,
  `i`.`atom` AS `atom`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  COUNT(*) AS `ticks`,
  MAX(`cut`) AS `cut`,
  MIN(CONCAT(`place`, '|', CAST(`in_0` AS STRING))) AS `agg_0`,
  MAX(`in_0`) AS `agg_1`,
  MIN(`in_0`) AS `agg_2`,
  MAX(CONCAT(`place`, '|', CAST(`in_0` AS STRING))) AS `agg_3`,
  CAST(SUM(CAST(`in_1` AS DECIMAL(30, 1))) AS DECIMAL(30, 1)) AS `agg_4`
FROM TABLE(TUMBLE(TABLE `t_trade_bars_v4_counted`, DESCRIPTOR(`_read`), INTERVAL '0.500' SECOND)) `i`
GROUP BY `i`.`window_start`, `i`.`window_end`, `i`.`_key`, `i`.`atom`;

CREATE TEMPORARY TABLE `t_trade_bars_v4_days` (
  `session_key` STRING,
  `sessions` ARRAY<ROW<`open_ms` BIGINT, `close_ms` BIGINT, `day` BIGINT, `week` BIGINT, `month` BIGINT>>,
  PRIMARY KEY (`session_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t.hours_by_day',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081'
);

CREATE TEMPORARY VIEW `t_trade_bars_v4_dated` AS
SELECT /*+ STATE_TTL('a' = '300s', 'd' = '0s') */
  `a`.`_key` AS `_key`,
  `a`.`atom` AS `atom`,
  `a`.`group_0` AS `group_0`,
  `a`.`group_1` AS `group_1`,
  `a`.`ticks` AS `ticks`,
  `a`.`cut` AS `cut`,
  `a`.`agg_0` AS `agg_0`,
  `a`.`agg_1` AS `agg_1`,
  `a`.`agg_2` AS `agg_2`,
  `a`.`agg_3` AS `agg_3`,
  `a`.`agg_4` AS `agg_4`,
  `d`.`sessions` AS `sessions`
FROM `t_trade_bars_v4_atoms` `a`
JOIN `t_trade_bars_v4_days` `d` ON CONCAT_WS(U&'\001F', '1', REPLACE(REPLACE(`a`.`group_1`, '\', '\\'), U&'\001F', '\u001f'), LPAD(CAST((`a`.`atom` / 86400000) * 86400000 AS STRING), 13, '0')) = `d`.`session_key`;

CREATE TEMPORARY TABLE `t_trade_bars_v4_hb` (
  `_key` STRING,
  `venue` STRING,
  `symbol` STRING,
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
  'topic' = 'p.t.trade_hb',
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

CREATE TEMPORARY TABLE `t_trade_bars_v4_carry` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_15m` BIGINT,
  `version` BIGINT,
  `mark_15m` BIGINT,
  `carried_0` STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t_trade_bars_v4_carry',
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

CREATE TEMPORARY VIEW `t_trade_bars_v4_stamped` AS
SELECT
  `a`.`_key` AS `_key`,
  `a`.`group_0` AS `group_0`,
  `a`.`group_1` AS `group_1`,
  CAST(`a`.`atom` AS BIGINT) AS `at`,
  CAST(`s`.`day` / 86400000 AS BIGINT) AS `day`,
  CAST(`a`.`ticks` AS BIGINT) AS `ticks`,
  CAST(`a`.`cut` AS BIGINT) AS `cut`,
  `a`.`agg_0` AS `agg_0`,
  CAST(`a`.`agg_1` AS DECIMAL(18, 2)) AS `agg_1`,
  CAST(`a`.`agg_2` AS DECIMAL(18, 2)) AS `agg_2`,
  `a`.`agg_3` AS `agg_3`,
  CAST(`a`.`agg_4` AS DECIMAL(30, 1)) AS `agg_4`,
  CAST(`s`.`open_ms` + (((`a`.`atom` - `s`.`open_ms`) / 900000) * 900000) AS BIGINT) AS `label_15m`,
  CAST(`a`.`ticks` AS BIGINT) AS `weight`,
  CAST('tick' AS STRING) AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(NULL AS BIGINT) AS `mark_15m`,
  CAST(NULL AS STRING) AS `carried_0`
FROM TABLE(TO_CHANGELOG(input => TABLE `t_trade_bars_v4_dated`, op_mapping => MAP['INSERT', 'INSERT'], uid => 't_trade_bars_v4_dated')) `a`
CROSS JOIN UNNEST(`a`.`sessions`) AS `s` (`open_ms`, `close_ms`, `day`, `week`, `month`)
WHERE (`a`.`atom` >= `s`.`open_ms`)
  AND (`a`.`atom` < `s`.`close_ms`)
UNION ALL
SELECT
  `h`.`_key` AS `_key`,
  `h`.`venue` AS `group_0`,
  `h`.`symbol` AS `group_1`,
  CAST(`h`.`at` AS BIGINT) AS `at`,
  CAST(CAST(`h`.`market_date` AS BIGINT) AS BIGINT) AS `day`,
  CAST(0 AS BIGINT) AS `ticks`,
  CAST(NULL AS BIGINT) AS `cut`,
  CAST(NULL AS STRING) AS `agg_0`,
  CAST(NULL AS DECIMAL(18, 2)) AS `agg_1`,
  CAST(NULL AS DECIMAL(18, 2)) AS `agg_2`,
  CAST(NULL AS STRING) AS `agg_3`,
  CAST(NULL AS DECIMAL(30, 1)) AS `agg_4`,
  CAST(`h`.`bucket_start` AS BIGINT) AS `label_15m`,
  CAST(1 AS BIGINT) AS `weight`,
  `h`.`kind` AS `kind`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN `h`.`next_at` END AS BIGINT) AS `next_at`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN CAST(`h`.`next_market_date` AS BIGINT) END AS BIGINT) AS `next_day`,
  CAST(NULL AS BIGINT) AS `version`,
  CAST(CASE WHEN `h`.`kind` = 'live' THEN `h`.`next_bucket_start` WHEN (`h`.`kind` = 'final') AND ARRAY_CONTAINS(`h`.`closes`, '15m') THEN CAST(1 AS BIGINT) END AS BIGINT) AS `mark_15m`,
  CAST(NULL AS STRING) AS `carried_0`
FROM `t_trade_bars_v4_hb` `h`
WHERE (`h`.`base` = '15m')
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
  CAST(NULL AS DECIMAL(18, 2)) AS `agg_1`,
  CAST(NULL AS DECIMAL(18, 2)) AS `agg_2`,
  CAST(NULL AS STRING) AS `agg_3`,
  CAST(NULL AS DECIMAL(30, 1)) AS `agg_4`,
  `c`.`label_15m` AS `label_15m`,
  CAST(1 AS BIGINT) AS `weight`,
  CAST('carry' AS STRING) AS `kind`,
  CAST(NULL AS BIGINT) AS `next_at`,
  CAST(NULL AS BIGINT) AS `next_day`,
  `c`.`version` AS `version`,
  `c`.`mark_15m` AS `mark_15m`,
  `c`.`carried_0` AS `carried_0`
FROM `t_trade_bars_v4_carry` `c`;

CREATE TEMPORARY VIEW `t_trade_bars_v4_15m_fold` AS
SELECT /*+ STATE_TTL('i' = '692100s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MIN(`agg_0`) AS `agg_0`,
  MAX(`agg_1`) AS `agg_1`,
  MIN(`agg_2`) AS `agg_2`,
  MAX(`agg_3`) AS `agg_3`,
  CAST(SUM(CAST(`agg_4` AS DECIMAL(30, 1))) AS DECIMAL(30, 1)) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`,
  MAX(CASE WHEN `kind` = 'final' THEN `mark_15m` END) AS `closed`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_15m` <> `label_15m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS STRING), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS STRING), 19, '0'))), '|', `carried_0`) END) AS `before_0`
FROM `t_trade_bars_v4_stamped` `i`
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_trade_bars_v4_own_fold` AS
SELECT /*+ STATE_TTL('i' = '692100s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MAX(`agg_3`) AS `agg_3`,
  SUM(`weight`) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `mark_15m` END) AS `next_15m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `label_15m` END) AS `own_15m`
FROM `t_trade_bars_v4_stamped` `i`
WHERE (`kind` = 'tick') OR (`kind` = 'live')
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_trade_bars_v4_empty_fold` AS
SELECT /*+ STATE_TTL('i' = '692100s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MIN(CASE WHEN (`kind` = 'carry') AND (`mark_15m` <> `label_15m`) THEN CONCAT(CONCAT(LPAD(CAST(`at` AS STRING), 15, '0'), '|', CONCAT('0', LPAD(CAST(1000000000000000000 - `version` AS STRING), 19, '0'))), '|', `carried_0`) END) AS `before_0`,
  SUM(`weight`) AS `version`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `next_at` END) AS `next_at`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `next_day` END) AS `next_day`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `mark_15m` END) AS `next_15m`,
  MAX(CASE WHEN (`kind` = 'live') AND (`mark_15m` <> `label_15m`) THEN `label_15m` END) AS `own_15m`
FROM `t_trade_bars_v4_stamped` `i`
WHERE (`kind` = 'tick') OR (`kind` = 'live') OR (`kind` = 'carry')
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_15m` AS STRING), 13, '0'));

CREATE TEMPORARY TABLE `t_trade_bars_v4_15m_bars` (
  `_key` STRING,
  `venue` STRING,
  `symbol` STRING,
  `bucket_start` TIMESTAMP(3),
  `bucket_end` TIMESTAMP(3),
  `market_date` DATE,
  `open` DECIMAL(18, 2),
  `high` DECIMAL(18, 2),
  `low` DECIMAL(18, 2),
  `close` DECIMAL(18, 2),
  `volume` DECIMAL(18, 1),
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
  'topic' = 'p.t.trade_bars_15m',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.trade_bars_15m-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "trade_bars_15m", "namespace": "ashioto.t", "fields": [{"name": "venue", "type": ["null", "string"], "default": null}, {"name": "symbol", "type": ["null", "string"], "default": null}, {"name": "bucket_start", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "bucket_end", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "market_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "open", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "high", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "low", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "close", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "volume", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 1}], "default": null, "arrow": "decimal64"}, {"name": "ticks", "type": ["null", "long"], "default": null}, {"name": "final", "type": ["null", "boolean"], "default": null}, {"name": "synthetic", "type": ["null", "boolean"], "default": null}, {"name": "first_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "first_seq", "type": ["null", "long"], "default": null}, {"name": "last_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "last_seq", "type": ["null", "long"], "default": null}, {"name": "source_cut", "type": ["null", "long"], "default": null}, {"name": "origin", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_trade_bars_v4_own_out` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_15m` BIGINT,
  `version` BIGINT,
  `mark_15m` BIGINT,
  `carried_0` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t_trade_bars_v4_carry',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t_trade_bars_v4_carry-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "t_trade_bars_v4_carry", "namespace": "ashioto", "fields": [{"name": "key_text", "type": ["null", "string"], "default": null}, {"name": "group_0", "type": ["null", "string"], "default": null}, {"name": "group_1", "type": ["null", "string"], "default": null}, {"name": "at", "type": ["null", "long"], "default": null}, {"name": "day", "type": ["null", "long"], "default": null}, {"name": "label_15m", "type": ["null", "long"], "default": null}, {"name": "version", "type": ["null", "long"], "default": null}, {"name": "mark_15m", "type": ["null", "long"], "default": null}, {"name": "carried_0", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_trade_bars_v4_empty_out` (
  `_key` STRING,
  `key_text` STRING,
  `group_0` STRING,
  `group_1` STRING,
  `at` BIGINT,
  `day` BIGINT,
  `label_15m` BIGINT,
  `version` BIGINT,
  `mark_15m` BIGINT,
  `carried_0` STRING,
  PRIMARY KEY (`_key`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'p.t_trade_bars_v4_carry',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t_trade_bars_v4_carry-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "t_trade_bars_v4_carry", "namespace": "ashioto", "fields": [{"name": "key_text", "type": ["null", "string"], "default": null}, {"name": "group_0", "type": ["null", "string"], "default": null}, {"name": "group_1", "type": ["null", "string"], "default": null}, {"name": "at", "type": ["null", "long"], "default": null}, {"name": "day", "type": ["null", "long"], "default": null}, {"name": "label_15m", "type": ["null", "long"], "default": null}, {"name": "version", "type": ["null", "long"], "default": null}, {"name": "mark_15m", "type": ["null", "long"], "default": null}, {"name": "carried_0", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_trade_bars_v4_late` (
  `_key` STRING,
  `venue` STRING,
  `symbol` STRING,
  `at` TIMESTAMP(3),
  `price` DECIMAL(18, 2),
  `size` DECIMAL(18, 1),
  `lots` BIGINT,
  `weight` DOUBLE,
  `reason` STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'p.t.trade_late',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.trade_late-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "trade_late", "namespace": "ashioto.t", "fields": [{"name": "venue", "type": ["null", "string"], "default": null, "arrow": "dictionary"}, {"name": "symbol", "type": ["null", "string"], "default": null, "arrow": "dictionary"}, {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "size", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 1}], "default": null, "arrow": "decimal64"}, {"name": "lots", "type": ["null", "long"], "default": null}, {"name": "weight", "type": ["null", "double"], "default": null}, {"name": "reason", "type": ["null", "string"], "default": null}]}',
  'key.fields' = '_key'
);

EXECUTE STATEMENT SET BEGIN
INSERT INTO `t_trade_bars_v4_15m_bars`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start`, 3) AS TIMESTAMP(3)) AS `bucket_start`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start` + 900000, 3) AS TIMESTAMP(3)) AS `bucket_end`,
  CAST(CAST(TO_TIMESTAMP_LTZ(`f`.`day` * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `market_date`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `open`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_1` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `high`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`agg_2` ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `low`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) ELSE CASE WHEN `f`.`before_0` IS NOT NULL THEN CAST(SUBSTRING(`f`.`before_0`, 38) AS DECIMAL(18, 2)) END END AS `close`,
  CASE WHEN `f`.`ticks` > 0 THEN CASE WHEN (`f`.`agg_4` >= CAST('-99999999999999999.9' AS DECIMAL(38, 1))) AND (`f`.`agg_4` <= CAST('99999999999999999.9' AS DECIMAL(38, 1))) THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) END ELSE CAST('0.0' AS DECIMAL(18, 1)) END AS `volume`,
  CASE WHEN `f`.`ticks` > 0 THEN `f`.`ticks` ELSE CAST(0 AS BIGINT) END AS `ticks`,
  CASE WHEN `f`.`closed` = 1 THEN TRUE ELSE FALSE END AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  CAST('stream' AS STRING) AS `origin`
FROM `t_trade_bars_v4_15m_fold` `f`
WHERE (`f`.`ticks` > 0) OR (`f`.`before_0` IS NOT NULL);
INSERT INTO `t_trade_bars_v4_own_out`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`key_text` AS `key_text`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(`f`.`next_15m` AS BIGINT) AS `label_15m`,
  CAST(100000000000000000 + `f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_15m` AS BIGINT) AS `mark_15m`,
  CAST(CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS STRING) AS `carried_0`
FROM `t_trade_bars_v4_own_fold` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` > 0);
INSERT INTO `t_trade_bars_v4_empty_out`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`key_text` AS `key_text`,
  `f`.`group_0` AS `group_0`,
  `f`.`group_1` AS `group_1`,
  CAST(`f`.`next_at` AS BIGINT) AS `at`,
  CAST(`f`.`next_day` AS BIGINT) AS `day`,
  CAST(`f`.`next_15m` AS BIGINT) AS `label_15m`,
  CAST(`f`.`version` AS BIGINT) AS `version`,
  CAST(`f`.`own_15m` AS BIGINT) AS `mark_15m`,
  SUBSTRING(`f`.`before_0`, 38) AS `carried_0`
FROM `t_trade_bars_v4_empty_fold` `f`
WHERE (`f`.`next_at` IS NOT NULL)
  AND (`f`.`ticks` = 0)
  AND (`f`.`before_0` IS NOT NULL);
INSERT INTO `t_trade_bars_v4_late`
SELECT
  `t`.`_key` AS `_key`,
  `t`.`venue` AS `venue`,
  `t`.`symbol` AS `symbol`,
  CAST(TO_TIMESTAMP_LTZ(`t`.`at`, 3) AS TIMESTAMP(3)) AS `at`,
  `t`.`price` AS `price`,
  `t`.`size` AS `size`,
  `t`.`lots` AS `lots`,
  `t`.`weight` AS `weight`,
  CAST('older than the retention of 604800 s' AS STRING) AS `reason`
FROM `t_trade_bars_v4_ticks` `t`
WHERE `t`.`at` < (`t`.`_newest` - 604800000);
END;
