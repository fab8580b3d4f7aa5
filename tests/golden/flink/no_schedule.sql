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

CREATE TEMPORARY VIEW `t_trade_bars_v4_stamped` AS
SELECT
  `a`.`_key` AS `_key`,
  `a`.`group_0` AS `group_0`,
  `a`.`group_1` AS `group_1`,
  CAST(`a`.`atom` AS BIGINT) AS `at`,
  CAST(`a`.`atom` / 86400000 AS BIGINT) AS `day`,
  CAST(`a`.`ticks` AS BIGINT) AS `ticks`,
  CAST(`a`.`cut` AS BIGINT) AS `cut`,
  `a`.`agg_0` AS `agg_0`,
  CAST(`a`.`agg_1` AS DECIMAL(18, 2)) AS `agg_1`,
  CAST(`a`.`agg_2` AS DECIMAL(18, 2)) AS `agg_2`,
  `a`.`agg_3` AS `agg_3`,
  CAST(`a`.`agg_4` AS DECIMAL(30, 1)) AS `agg_4`,
  CAST((`a`.`atom` / 60000) * 60000 AS BIGINT) AS `label_1m`,
  CAST((`a`.`atom` / 86400000) * 86400000 AS BIGINT) AS `label_1d`
FROM TABLE(TO_CHANGELOG(input => TABLE `t_trade_bars_v4_atoms`, op_mapping => MAP['INSERT', 'INSERT'], uid => 't_trade_bars_v4_atoms')) `a`;

CREATE TEMPORARY VIEW `t_trade_bars_v4_1m_fold` AS
SELECT /*+ STATE_TTL('i' = '691260s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MIN(`agg_0`) AS `agg_0`,
  MAX(`agg_1`) AS `agg_1`,
  MIN(`agg_2`) AS `agg_2`,
  MAX(`agg_3`) AS `agg_3`,
  CAST(SUM(CAST(`agg_4` AS DECIMAL(30, 1))) AS DECIMAL(30, 1)) AS `agg_4`,
  MAX(`cut`) AS `cut`,
  MIN(`day`) AS `day`
FROM `t_trade_bars_v4_stamped` `i`
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1m` AS STRING), 13, '0'));

CREATE TEMPORARY VIEW `t_trade_bars_v4_1d_fold` AS
SELECT /*+ STATE_TTL('i' = '1382400s') */
  CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0')) AS `bar_key`,
  SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0')), 1, CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0'))) - 14) AS `key_text`,
  CAST(SUBSTRING(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0')), CHAR_LENGTH(CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0'))) - 12) AS BIGINT) AS `bucket_start`,
  MAX(`group_0`) AS `group_0`,
  MAX(`group_1`) AS `group_1`,
  SUM(`ticks`) AS `ticks`,
  MIN(`agg_0`) AS `agg_0`,
  MAX(`agg_1`) AS `agg_1`,
  MIN(`agg_2`) AS `agg_2`,
  MAX(`agg_3`) AS `agg_3`,
  CAST(SUM(CAST(`agg_4` AS DECIMAL(30, 1))) AS DECIMAL(30, 1)) AS `agg_4`,
  MAX(`cut`) AS `cut`
FROM `t_trade_bars_v4_stamped` `i`
GROUP BY CONCAT_WS(U&'\001F', `i`.`_key`, LPAD(CAST(`i`.`label_1d` AS STRING), 13, '0'));

CREATE TEMPORARY TABLE `t_trade_bars_v4_1m_bars` (
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
  'topic' = 'p.t.trade_bars_1m',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.trade_bars_1m-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "trade_bars_1m", "namespace": "ashioto.t", "fields": [{"name": "venue", "type": ["null", "string"], "default": null}, {"name": "symbol", "type": ["null", "string"], "default": null}, {"name": "bucket_start", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "bucket_end", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "market_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "open", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "high", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "low", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "close", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "volume", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 1}], "default": null, "arrow": "decimal64"}, {"name": "ticks", "type": ["null", "long"], "default": null}, {"name": "final", "type": ["null", "boolean"], "default": null}, {"name": "synthetic", "type": ["null", "boolean"], "default": null}, {"name": "first_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "first_seq", "type": ["null", "long"], "default": null}, {"name": "last_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "last_seq", "type": ["null", "long"], "default": null}, {"name": "source_cut", "type": ["null", "long"], "default": null}, {"name": "origin", "type": ["null", "string"], "default": null}]}',
  'sink.buffer-flush.max-rows' = '1000000000',
  'sink.buffer-flush.interval' = '100 ms'
);

CREATE TEMPORARY TABLE `t_trade_bars_v4_1d_bars` (
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
  'topic' = 'p.t.trade_bars_1d',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.isolation.level' = 'read_committed',
  'properties.group.id' = 'g',
  'key.format' = 'raw',
  'value.format' = 'avro-confluent',
  'value.fields-include' = 'EXCEPT_KEY',
  'value.avro-confluent.url' = 'http://registry:8081',
  'value.avro-confluent.subject' = 'p.t.trade_bars_1d-value',
  'value.avro-confluent.schema' = '{"type": "record", "name": "trade_bars_1d", "namespace": "ashioto.t", "fields": [{"name": "venue", "type": ["null", "string"], "default": null}, {"name": "symbol", "type": ["null", "string"], "default": null}, {"name": "bucket_start", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "bucket_end", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "market_date", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null}, {"name": "open", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "high", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "low", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "close", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}], "default": null, "arrow": "decimal64"}, {"name": "volume", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 1}], "default": null, "arrow": "decimal64"}, {"name": "ticks", "type": ["null", "long"], "default": null}, {"name": "final", "type": ["null", "boolean"], "default": null}, {"name": "synthetic", "type": ["null", "boolean"], "default": null}, {"name": "first_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "first_seq", "type": ["null", "long"], "default": null}, {"name": "last_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null}, {"name": "last_seq", "type": ["null", "long"], "default": null}, {"name": "source_cut", "type": ["null", "long"], "default": null}, {"name": "origin", "type": ["null", "string"], "default": null}]}',
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
INSERT INTO `t_trade_bars_v4_1m_bars`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start`, 3) AS TIMESTAMP(3)) AS `bucket_start`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start` + 60000, 3) AS TIMESTAMP(3)) AS `bucket_end`,
  CAST(CAST(TO_TIMESTAMP_LTZ(`f`.`day` * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `market_date`,
  CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) AS `open`,
  `f`.`agg_1` AS `high`,
  `f`.`agg_2` AS `low`,
  CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS `close`,
  CASE WHEN (`f`.`agg_4` >= CAST('-99999999999999999.9' AS DECIMAL(38, 1))) AND (`f`.`agg_4` <= CAST('99999999999999999.9' AS DECIMAL(38, 1))) THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) END AS `volume`,
  `f`.`ticks` AS `ticks`,
  CAST(FALSE AS BOOLEAN) AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  CAST('stream' AS STRING) AS `origin`
FROM `t_trade_bars_v4_1m_fold` `f`
WHERE `f`.`ticks` > 0;
INSERT INTO `t_trade_bars_v4_1d_bars`
SELECT
  `f`.`bar_key` AS `_key`,
  `f`.`group_0` AS `venue`,
  `f`.`group_1` AS `symbol`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start`, 3) AS TIMESTAMP(3)) AS `bucket_start`,
  CAST(TO_TIMESTAMP_LTZ(`f`.`bucket_start` + 86400000, 3) AS TIMESTAMP(3)) AS `bucket_end`,
  CAST(CAST(TO_TIMESTAMP_LTZ((`f`.`bucket_start` / 86400000) * 86400000, 3) AS TIMESTAMP(3)) AS DATE) AS `market_date`,
  CAST(SUBSTRING(`f`.`agg_0`, 38) AS DECIMAL(18, 2)) AS `open`,
  `f`.`agg_1` AS `high`,
  `f`.`agg_2` AS `low`,
  CAST(SUBSTRING(`f`.`agg_3`, 38) AS DECIMAL(18, 2)) AS `close`,
  CASE WHEN (`f`.`agg_4` >= CAST('-99999999999999999.9' AS DECIMAL(38, 1))) AND (`f`.`agg_4` <= CAST('99999999999999999.9' AS DECIMAL(38, 1))) THEN CAST(`f`.`agg_4` AS DECIMAL(18, 1)) END AS `volume`,
  `f`.`ticks` AS `ticks`,
  CAST(FALSE AS BOOLEAN) AS `final`,
  `f`.`ticks` = 0 AS `synthetic`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_0`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `first_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_0`, 18, 19) AS BIGINT) END AS `first_seq`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(TO_TIMESTAMP_LTZ(CAST(SUBSTRING(`f`.`agg_3`, 1, 15) AS BIGINT), 3) AS TIMESTAMP(3)) END AS `last_at`,
  CASE WHEN `f`.`ticks` > 0 THEN CAST(SUBSTRING(`f`.`agg_3`, 18, 19) AS BIGINT) END AS `last_seq`,
  `f`.`cut` AS `source_cut`,
  CAST('stream' AS STRING) AS `origin`
FROM `t_trade_bars_v4_1d_fold` `f`
WHERE `f`.`ticks` > 0;
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
