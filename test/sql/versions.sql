--
-- versions: retraining, keeping, deploying, going back, refreshing, dropping
--
SET client_min_messages = warning;
CREATE SCHEMA versions;
SET search_path = versions, public;
\getenv srcdir PG_ABS_SRCDIR
\set assignments :srcdir /fixture/assignments.sql
\i :assignments
CREATE VIEW state AS SELECT version, deployed FROM tagrec_versions WHERE model = 'm';

-- retraining deploys, and keeps one version to go back to
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
SELECT tagrec_rollback('m');
CREATE VIEW dependent AS SELECT count(*) FROM m_item_embedding;
CREATE INDEX by_posts ON m_item_versions (posts);
-- a column of the owner's own stays empty
ALTER TABLE m_item_versions ADD COLUMN note text;
INSERT INTO a VALUES (1, 'new item', 'tag 1');
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
TABLE dependent;
INSERT INTO a VALUES (1, 'newer item', 'tag 1');
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
TABLE state ORDER BY version;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'm_item_versions'::regclass ORDER BY 1;
SELECT count(*) FROM pg_index WHERE indrelid = 'm_item_v3'::regclass;
SELECT count(*), count(note) AS notes FROM m_item_v3;
-- statistics of what is joined by, not of arrays
SELECT count(*) FILTER (WHERE attname = 'item_id') AS keys, count(*) FILTER (WHERE attname IN ('embedding', 'tags')) AS arrays
FROM pg_stats WHERE tablename = 'm_item_v3';

-- deploying an old version, and the views follow
TABLE dependent;
SELECT tagrec_deploy('m', 2);
TABLE dependent;
TABLE state ORDER BY version;
SELECT tagrec_deploy('m', 3);
SELECT tagrec_rollback('m');
TABLE state ORDER BY version;
SELECT tagrec_rollback('m');
SELECT tagrec_deploy('m', 1);
SELECT tagrec_deploy('m', 0);
\set VERBOSITY terse
SELECT tagrec_deploy('nobody', 1);
\set VERBOSITY default
BEGIN;
SELECT tagrec_deploy('m', 3);
TABLE dependent;
ROLLBACK;
TABLE dependent;

-- trainings of one model at the same time get versions of their own
SELECT array_agg(tagrec_train('same', 'a', 'popularity', '{"keep_versions": 5}', wait => false)) AS jobs FROM generate_series(1, 3) \gset
CREATE PROCEDURE wait_for(jobs bigint[]) LANGUAGE plpgsql AS $$
DECLARE
	j bigint;
BEGIN
	FOREACH j IN ARRAY jobs LOOP
		CALL tagrec_wait(j, '60 s');
	END LOOP;
END $$;
CALL wait_for(:'jobs');
SELECT version, deployed FROM tagrec_versions WHERE model = 'same' ORDER BY version;
SELECT tagrec_drop('same');

-- more versions are kept on demand; the deployed one always is
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 5}') > 0 AS trained;
TABLE state ORDER BY version;
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
TABLE state ORDER BY version;

-- a view on an old partition keeps it
CREATE VIEW on_partition AS SELECT * FROM m_item_v5;
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
TABLE state ORDER BY version;
DROP VIEW on_partition;
SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
TABLE state ORDER BY version;

-- refreshing: new users and items without training
CREATE TABLE one_more AS TABLE a;
SELECT tagrec_train('counted', 'one_more', 'popularity') > 0 AS trained;
INSERT INTO one_more SELECT u, 'item of all', 'tag 1' FROM generate_series(1, 200) u;
SELECT tagrec_refresh('counted') > 0 AS refreshed;
SELECT tagrec_train('anew', 'one_more', 'popularity') > 0 AS trained;
SELECT count(*) > 50 AS items, count(*) FILTER (WHERE c.embedding IS DISTINCT FROM n.embedding) AS different
	FROM counted_item_embedding c FULL JOIN anew_item_embedding n USING (item_id);
SELECT item_id, embedding FROM counted_item_embedding ORDER BY embedding DESC LIMIT 1;
SELECT version, refreshed_from, epochs, loss, metric_value FROM tagrec_versions WHERE model = 'counted' ORDER BY version;
SELECT tagrec_drop('counted'), tagrec_drop('anew');
DROP TABLE one_more;
\set VERBOSITY terse
SELECT tagrec_refresh('nobody');
\set VERBOSITY default
SELECT tagrec_train('net', 'a', 'hdlpr_ns', '{"layers": [16, 8], "epochs": 2, "threads": 1}') AS job \gset
INSERT INTO a VALUES (1001, 'newest item', 'tag 1'), (1001, 'newest item', 'tag 2'), (1002, 'item 1', 'tag nobody knew'),
	(1003, 'item 2', 'tag 3');
SELECT tagrec_refresh('net') > 0 AS refreshed;
SELECT version, deployed, refreshed_from, users, items, tags, epochs, requested_options FROM tagrec_versions
	WHERE model = 'net' ORDER BY version;
SELECT kind, state FROM tagrec_jobs WHERE model = 'net' AND job >= :job ORDER BY job;
SELECT user_id, cardinality(embedding) > 0 AS encoded FROM net_user_embedding WHERE user_id > 1000 ORDER BY 1;
SELECT count(*) AS wrong FROM (
	SELECT name, part, rows, cols, value FROM net_weight_versions WHERE version = 1
	EXCEPT SELECT name, part, rows, cols, value FROM net_weight_versions WHERE version = 2) d;
-- users whose profiles have not changed keep their arrays
SELECT count(*) AS users, count(*) FILTER (WHERE x.embedding = y.embedding) AS same
	FROM net_user_versions x JOIN net_user_versions y USING (user_id) WHERE x.version = 1 AND y.version = 2;
ALTER TABLE a RENAME TO b;
SELECT tagrec_refresh('net');
ALTER TABLE b RENAME TO a;

-- a model takes its relations along to another name; queries, views and retraining follow
CREATE TEMP TABLE before AS SELECT * FROM tagrec_recommend_all('m');
CREATE TABLE taken_user_embedding ();
\set VERBOSITY terse
SELECT tagrec_rename('nobody', 'x');
SELECT tagrec_rename('m', '');
SELECT tagrec_rename('m', repeat('x', 45));
SELECT tagrec_rename('m', 'net');
SELECT tagrec_rename('m', 'taken');
\set VERBOSITY default
DROP TABLE taken_user_embedding;
SELECT tagrec_rename('m', 'M "2"');
SELECT count(*) AS old_names FROM pg_class WHERE relnamespace = 'versions'::regnamespace AND relkind NOT IN ('i', 'I') AND relname LIKE 'm\_%';
SELECT count(*) > 0 AS some, bool_and((user_id, rank, item) IN (SELECT user_id, rank, item FROM before)) AS same
	FROM tagrec_recommend_all('M "2"');
SELECT count(*) > 0 AS some FROM "M ""2""_item_embedding";
SELECT obj_description('"M ""2""_item_embedding"'::regclass);
\set VERBOSITY terse
SELECT * FROM tagrec_recommend('m', 1);
\set VERBOSITY default
SELECT tagrec_train('M "2"', 'a', 'popularity') > 0 AS trained;
SELECT tagrec_rename('M "2"', 'm');

-- and to another schema
CREATE SCHEMA elsewhere;
CREATE ROLE regress_tagrec_stranger;
\set VERBOSITY terse
SELECT tagrec_set_schema('nobody', 'elsewhere');
SELECT tagrec_set_schema('m', 'nowhere');
SELECT tagrec_set_schema('m', 'pg_catalog');
SELECT tagrec_set_schema('m', 'pg_temp');
CREATE TABLE elsewhere.m_item_embedding ();
SELECT tagrec_set_schema('m', 'elsewhere');
DROP TABLE elsewhere.m_item_embedding;
GRANT CREATE, USAGE ON SCHEMA elsewhere TO regress_tagrec_stranger;
GRANT USAGE ON SCHEMA versions TO regress_tagrec_stranger;
GRANT SELECT ON m_item_embedding TO regress_tagrec_stranger;
SET ROLE regress_tagrec_stranger;
SELECT public.tagrec_set_schema('m', 'elsewhere');
RESET ROLE;
\set VERBOSITY default
CREATE TEMP TABLE moved AS SELECT * FROM tagrec_recommend_all('m');
SELECT tagrec_set_schema('m', 'versions');
SELECT tagrec_set_schema('m', 'elsewhere');
SELECT relnamespace::regnamespace AS schema, relkind, count(*) FROM pg_class WHERE relname LIKE 'm\_%' AND relnamespace IN ('versions'::regnamespace, 'elsewhere'::regnamespace) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) > 0 AS some, bool_and((user_id, rank, item) IN (SELECT user_id, rank, item FROM moved)) AS same FROM tagrec_recommend_all('m');
SELECT schema FROM tagrec_models WHERE model = 'm';
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
SELECT count(*) > 0 AS some FROM elsewhere.m_user_embedding;
SET ROLE regress_tagrec_stranger;
SELECT count(*) > 0 AS granted FROM public.tagrec_recommend('m', 1);
RESET ROLE;
SELECT tagrec_set_schema('m', 'versions');
DROP OWNED BY regress_tagrec_stranger;
DROP ROLE regress_tagrec_stranger;
DROP SCHEMA elsewhere;

-- dropping is RESTRICT
\set VERBOSITY terse
SELECT tagrec_drop('nobody');
\set VERBOSITY default
SELECT tagrec_drop('m');
DROP VIEW dependent;
BEGIN;
SELECT tagrec_drop('m');
ROLLBACK;
SELECT count(*) > 0 AS there FROM m_item_embedding;
SELECT tagrec_drop('m');
\set VERBOSITY terse
SELECT tagrec_drop('m');
\set VERBOSITY default
SELECT tagrec_drop('net');
SELECT relname FROM pg_class WHERE relnamespace = 'versions'::regnamespace ORDER BY relname COLLATE "C";
-- the name is free again, for other keys as well
CREATE VIEW text_users AS SELECT user_id::text, item_id, tag FROM a;
SELECT tagrec_train('m', 'text_users', 'popularity') > 0 AS trained;
SELECT version, user_type FROM tagrec_versions WHERE model = 'm';

-- a model whose schema is gone
SET client_min_messages = error;
DROP SCHEMA versions CASCADE;
SET client_min_messages = warning;
SET search_path = public;
SELECT * FROM tagrec_recommend('m', 'x');
SELECT tagrec_drop('m');
SELECT count(*) FROM tagrec_models WHERE model = 'm';
