--
-- training: kinds of sources, kinds of keys, what is stored
--
SET client_min_messages = warning;
CREATE SCHEMA train;
SET search_path = train, public;

\getenv srcdir PG_ABS_SRCDIR
\set assignments :srcdir /fixture/assignments.sql
\i :assignments

-- a model is made, and its version says what was asked and what was done
SELECT tagrec_train('m', 'a', 'popularity') AS job \gset
SELECT model, version, deployed, algorithm, task, source, user_column, item_column, tag_column, weight_column,
		user_type, item_type, users, items, tags, assignments, pairs
	FROM tagrec_versions WHERE model = 'm';
SELECT requested_options, options ->> 'epochs' = (SELECT default_value FROM tagrec_options
		WHERE algorithm = 'popularity' AND option = 'epochs') AS epochs, job > 0 AS has_job,
		seconds > 0 AS took_time, backend LIKE 'cpu%' AS on_cpu
	FROM tagrec_versions WHERE model = 'm';
SELECT model, schema, owner = current_user AS own, deployed_version, versions, users FROM tagrec_models WHERE model = 'm';
SELECT kind, state, phase, version, sqlstate, message, role = current_user AS own, started_at >= submitted_at AS started,
		finished_at > started_at AS finished, peak_memory > 0 AS memory, algorithm, options
	FROM tagrec_jobs WHERE job = :job;
SELECT epoch, seconds >= 0 AS timed FROM tagrec_epochs WHERE job = :job;

-- its relations: one row per key, positions in the order of the keys, profiles that add up to the source
\d m_user_versions
\d m_item_versions
\d m_tag_versions
\d m_weight_versions
\d m_neighbour_versions
\d m_item_neighbour
\d m_item_embedding
SELECT count(*), count(DISTINCT user_id) FROM m_user_embedding;
SELECT bool_and(position = rank - 1) AS ranked
	FROM (SELECT position, row_number() OVER (ORDER BY item_id) AS rank FROM m_item_versions) r;
SELECT bool_and(position = rank - 1) AS ranked
	FROM (SELECT position, row_number() OVER (ORDER BY tag COLLATE "C") AS rank FROM m_tag_versions) r;
SELECT count(*) AS differences FROM (
	(SELECT user_id, i.item_id FROM m_user_versions u, unnest(u.seen) s JOIN m_item_versions i ON i.position = s
		EXCEPT SELECT user_id, item_id FROM a)
	UNION ALL
	(SELECT user_id, item_id FROM a
		EXCEPT SELECT user_id, i.item_id FROM m_user_versions u, unnest(u.seen) s JOIN m_item_versions i ON i.position = s)
) d;
CREATE VIEW stored AS
	SELECT 'user' AS side, user_id::text AS key, t.tag, p.count
		FROM m_user_versions u, unnest(u.tags, u.counts) p (position, count) JOIN m_tag_versions t USING (position)
	UNION ALL SELECT 'item', item_id, t.tag, p.count
		FROM m_item_versions i, unnest(i.tags, i.counts) p (position, count) JOIN m_tag_versions t ON t.position = p.position;
CREATE VIEW counted AS
	SELECT 'user' AS side, user_id::text AS key, tag, count(*)::real AS count FROM (SELECT DISTINCT * FROM a) d GROUP BY user_id, tag
	UNION ALL SELECT 'item', item_id, tag, count(*) FROM (SELECT DISTINCT * FROM a) d GROUP BY item_id, tag;
SELECT (SELECT count(*) FROM stored) AS stored, (SELECT count(*) FROM (TABLE stored EXCEPT TABLE counted) d) AS wrong;
SELECT count(*) AS wrong FROM m_item_versions i
	WHERE posts <> (SELECT count(DISTINCT user_id) FROM a WHERE a.item_id = i.item_id);
SELECT bool_and(reltuples > 0) AS analyzed FROM pg_class
	WHERE relname LIKE 'm\_%\_v1' AND relname <> 'm_neighbour_v1' AND relkind = 'r';

-- repeated rows count once; weights add up
CREATE VIEW twice AS TABLE a UNION ALL TABLE a;
SELECT tagrec_train('twice', 'twice', 'popularity') > 0 AS trained;
SELECT assignments = (SELECT count(*) FROM (SELECT DISTINCT * FROM a) d) AS once FROM tagrec_versions WHERE model = 'twice';
CREATE TABLE weighted AS SELECT *, 0.5::numeric AS weight FROM twice;
SELECT tagrec_train('weighted', 'weighted', 'popularity', weight_column => 'weight') > 0 AS trained;
SELECT sum(c) = (SELECT count(*) FROM a) AS added FROM weighted_user_versions, unnest(counts) c;

-- keys of any type that has an order, tags of any type
CREATE VIEW bigints AS SELECT user_id::bigint, item_id, tag FROM a;
CREATE VIEW uuids AS SELECT md5(user_id::text)::uuid AS user_id, ('1970-01-01'::date + user_id) AS item_id,
	length(tag) + user_id % 7 AS tag FROM a;
CREATE VIEW numerics AS SELECT round(user_id, user_id % 3) AS user_id, item_id, tag FROM a
	UNION ALL SELECT round(user_id, 4), item_id, tag FROM a;
CREATE VIEW backwards AS SELECT user_id, item_id COLLATE "C" AS item_id, tag FROM a;
SELECT tagrec_train('bigints', 'bigints', 'popularity') > 0 AS trained;
SELECT tagrec_train('uuids', 'uuids', 'popularity') > 0 AS trained;
SELECT tagrec_train('numerics', 'numerics', 'popularity') > 0 AS trained;
SELECT tagrec_train('backwards', 'backwards', 'popularity') > 0 AS trained;
SELECT model, user_type, item_type, users, items FROM tagrec_versions
	WHERE model IN ('bigints', 'uuids', 'numerics', 'backwards') ORDER BY model;
SELECT user_id FROM bigints_user_embedding ORDER BY user_id LIMIT 3;
SELECT attname, collname FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation
	WHERE attrelid = 'backwards_item_versions'::regclass AND attname = 'item_id';

-- sources that are not plain tables
CREATE TABLE parts (LIKE a) PARTITION BY HASH (user_id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts TABLE a;
CREATE MATERIALIZED VIEW matted AS TABLE a;
SELECT tagrec_train('parts', 'parts', 'popularity') > 0 AS partitioned;
SELECT tagrec_train('matted', 'matted', 'popularity') > 0 AS materialized;
SELECT users, items, tags, assignments FROM tagrec_versions WHERE model = 'm' AND version = 1
	EXCEPT SELECT users, items, tags, assignments FROM tagrec_versions WHERE model = 'parts';
SELECT users, items, tags, assignments FROM tagrec_versions WHERE model = 'm' AND version = 1
	EXCEPT SELECT users, items, tags, assignments FROM tagrec_versions WHERE model = 'matted';

-- names that need quotes
CREATE TABLE "Odd ""Table" ("User" int, "select" text, "the Tag" text);
INSERT INTO "Odd ""Table" TABLE a;
SELECT tagrec_train('It''s a "Model"', '"Odd ""Table"', 'popularity', user_column => 'User', item_column => 'select',
	tag_column => 'the Tag') > 0 AS trained;
SELECT source, user_column, item_column, tag_column FROM tagrec_versions WHERE model = 'It''s a "Model"';
SELECT count(*) FROM "It's a ""Model""_item_embedding";
SELECT tagrec_drop('It''s a "Model"');

-- rare tags go, and the users and items that have no others
INSERT INTO a VALUES (1, 'item 1', 'rare'), (1000, 'item 2', 'rarer'), (1, 'item of a rare tag', 'rarest');
SELECT tagrec_train('frequent', 'a', 'popularity', '{"min_tag_count": 2}') > 0 AS trained;
SELECT users, items, tags FROM tagrec_versions WHERE model = 'frequent';
SELECT count(*) FROM frequent_tag_versions WHERE tag LIKE 'rare%';
SELECT count(*) FROM frequent_user_embedding WHERE user_id = 1000;
-- the core: users, items and tags with three assignments or more, of which each has three left when it has come to an end
SELECT tagrec_train('core', 'a', 'popularity', '{"core": 3}') > 0 AS trained;
CREATE FUNCTION core_in_sql(fewest int) RETURNS TABLE (users bigint, items bigint, tags bigint, assignments bigint) LANGUAGE plpgsql AS $$
DECLARE
	gone bigint;
BEGIN
	CREATE TEMP TABLE rest AS SELECT DISTINCT user_id, item_id, tag FROM a;
	LOOP
		DELETE FROM rest r WHERE fewest > (SELECT count(*) FROM rest o WHERE o.user_id = r.user_id)
			OR fewest > (SELECT count(*) FROM rest o WHERE o.item_id = r.item_id) OR fewest > (SELECT count(*) FROM rest o WHERE o.tag = r.tag);
		GET DIAGNOSTICS gone = ROW_COUNT;
		EXIT WHEN gone = 0;
	END LOOP;
	RETURN QUERY SELECT count(DISTINCT user_id), count(DISTINCT item_id), count(DISTINCT tag), count(*) FROM rest;
	DROP TABLE rest;
END $$;
SELECT v.users, v.items, v.tags, v.assignments, v.assignments = c.assignments AND v.users = c.users AND v.items = c.items AND v.tags = c.tags AS right
FROM tagrec_versions v, core_in_sql(3) c WHERE model = 'core';
DROP FUNCTION core_in_sql;
DELETE FROM a WHERE tag LIKE 'rare%';

-- a network: weights, curve, validation, the same seed twice
SELECT tagrec_train('deep', 'a', 'hdlpr_ns',
	'{"layers": [16, 8], "epochs": 3, "validation": 0.2, "seed": 5, "threads": 1, "keep_versions": 5}') AS job \gset
SELECT epoch, loss > 0 AS loss, metric_value BETWEEN 0 AND 1 AS measured, rows_per_second > 0 AS pace
	FROM tagrec_epochs WHERE job = :job ORDER BY epoch;
SELECT epochs, best_epoch BETWEEN 1 AND 3 AS best, metric, metric_value BETWEEN 0 AND 1 AS measured, options -> 'layers' AS layers
	FROM tagrec_versions WHERE model = 'deep';
SELECT name, part, rows, cols, cardinality(value) = rows * cols AS whole FROM deep_weight_versions ORDER BY name LIMIT 2;
SELECT bool_and(cardinality(embedding) = width) AS wide FROM deep_user_embedding, tagrec_versions WHERE model = 'deep';
SELECT tagrec_train('deep', 'a', 'hdlpr_ns',
	'{"layers": [16, 8], "epochs": 3, "validation": 0.2, "seed": 5, "threads": 1, "keep_versions": 5}') > 0 AS trained;
SELECT count(*) AS rows, count(*) FILTER (WHERE x.embedding = y.embedding) AS same
	FROM deep_item_versions x JOIN deep_item_versions y USING (item_id) WHERE x.version = 1 AND y.version = 2;
SELECT tagrec_train('deep', 'a', 'hdlpr_ns',
	'{"layers": [16, 8], "epochs": 3, "validation": 0.2, "seed": 6, "threads": 1, "keep_versions": 5}') > 0 AS trained;
SELECT count(*) FILTER (WHERE x.embedding = y.embedding) AS same
	FROM deep_item_versions x JOIN deep_item_versions y USING (item_id) WHERE x.version = 1 AND y.version = 3;

-- time that runs out ends a training with the epoch that it is in
SELECT tagrec_train('deep', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 100000, "max_seconds": 0.05, "threads": 1}') > 0 AS trained;
SELECT epochs BETWEEN 1 AND 99999 AS stopped, requested_options ->> 'max_seconds' AS asked FROM tagrec_versions WHERE model = 'deep' AND deployed;

DROP VIEW stored;
SELECT tagrec_drop(model) FROM tagrec_models WHERE schema = 'train' ORDER BY model;
SELECT relname FROM pg_class WHERE relnamespace = 'train'::regnamespace AND relname ~ '_(versions|v\d+|embedding)$';
SET client_min_messages = error;
DROP SCHEMA train CASCADE;
