--
-- what tagrec_train refuses, and that it leaves nothing behind
--
SET client_min_messages = warning;
CREATE SCHEMA refused;
SET search_path = refused, public;
CREATE TABLE a (user_id int, item_id text, tag text, weight real, place point);
INSERT INTO a SELECT u, 'item ' || (u * 7 + k * k) % 50, 'tag ' || (u + k) % 20, 1, '(1,1)'
	FROM generate_series(1, 100) u, generate_series(1, 10) k;
SELECT max(job) AS last_job FROM (SELECT job FROM tagrec_jobs UNION ALL SELECT 0) j \gset

-- the whole of an error, for those that list what there is: the lists grow
CREATE FUNCTION says(command text, pattern text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN false;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLERRM, detail, hint) ~ pattern;
END $$;

-- arguments
SELECT tagrec_train(NULL, 'a');
SELECT tagrec_train('m', NULL);
SELECT tagrec_train('m', 'a', device => NULL);
SELECT tagrec_train('m', 'a', wait => NULL);
SELECT tagrec_train('', 'a');
SELECT tagrec_train(repeat('x', 45), 'a');
SELECT tagrec_train('m', 'nowhere');
SELECT tagrec_train('m', 1::regclass);
SELECT bool_and(says($$SELECT tagrec_train('m', 'a', 'popularty')$$,
	'^unknown algorithm "popularty" .*The algorithms are .*\m' || algorithm || '\M')) AS lists_algorithms FROM tagrec_algorithms;
SELECT says($$SELECT tagrec_train('m', 'a', '{"epochs": 3}')$$, 'Specify options by name: options =>') AS tells_options;
SELECT tagrec_train('m', 'a', device => 'tpu');
SELECT tagrec_train('m', 'a', device => 'cuda:');
SELECT tagrec_train('m', 'a', device => 'cuda:1x');
SELECT tagrec_train('m', 'a', options => '{"precision": "fp16"}');

-- columns
SELECT tagrec_train('m', 'a', user_column => 'usr');
SELECT tagrec_train('m', 'a', item_column => 'Item_id');
SELECT tagrec_train('m', 'a', tag_column => 'ctid');
SELECT tagrec_train('m', 'a', weight_column => 'heavy');
SELECT tagrec_train('m', 'a', user_column => 'place');
SELECT tagrec_train('m', 'a', user_column => 'item_id');
SELECT tagrec_train('m', 'a', weight_column => 'tag');

-- options
SELECT says($$SELECT tagrec_train('m', 'a', 'popularity', '{"epoch": 3}')$$,
	'^unknown option "epoch" .*Valid options are .*epochs, seed, threads, .*, schema\.') AS lists_options;
SELECT tagrec_train('m', 'a', 'popularity', '{"epochs": -1}');
SELECT tagrec_train('m', 'a', 'popularity', '{"epochs": "many"}');
SELECT tagrec_train('m', 'a', 'popularity', '{"epochs": 1.5}');
SELECT tagrec_train('m', 'a', 'popularity', '{"epochs": null}');
SELECT tagrec_train('m', 'a', 'popularity', '{"epochs": {"from": 1}}');
SELECT tagrec_train('m', 'a', 'popularity', '[1, 2]');
SELECT says($$SELECT tagrec_train('m', 'a', 'popularity', '{"metric": "accuracy"}')$$,
	'^invalid value for option "metric": "accuracy" .*Valid values are one of ndcg, recall') AS lists_values;
SELECT says($$SELECT tagrec_train('m', 'a', 'popularity', '{"preset": "best"}')$$,
	'^unknown preset "best" .*Valid presets are default') AS lists_presets;
SELECT tagrec_train('m', 'a', 'popularity', '{"schema": "nowhere"}');
SELECT tagrec_train('m', 'a', 'popularity', '{"schema": "pg_catalog"}');
SELECT tagrec_train('m', 'a', 'popularity', '{"schema": "information_schema"}');

-- sources
CREATE TEMP TABLE temporary AS TABLE a;
CREATE SEQUENCE numbers;
CREATE INDEX a_index ON a (user_id);
SELECT tagrec_train('m', 'temporary');
SELECT tagrec_train('m', 'numbers');
SELECT tagrec_train('m', 'a_index');

-- names that are taken
CREATE TABLE m_item_versions (x int);
SELECT tagrec_train('m', 'a', 'popularity');
DROP TABLE m_item_versions;
CREATE VIEW m_user_embedding AS SELECT 1 AS x;
SELECT tagrec_train('m', 'a', 'popularity');
DROP VIEW m_user_embedding;

-- transactions
BEGIN;
CREATE TABLE written (x int);
SELECT tagrec_train('m', 'a', 'popularity');
ROLLBACK;
BEGIN READ ONLY;
SELECT tagrec_train('m', 'a', 'popularity');
ROLLBACK;

-- none of these has made a job
SELECT count(*) FROM tagrec_jobs WHERE job > :last_job;

-- what only reading shows
CREATE TABLE empty (LIKE a);
SELECT tagrec_train('m', 'empty', 'popularity');
CREATE VIEW null_user AS SELECT nullif(user_id, 7) AS user_id, item_id, tag FROM a;
CREATE VIEW null_item AS SELECT user_id, nullif(item_id, 'item 7') AS item_id, tag FROM a;
CREATE VIEW null_tag AS SELECT user_id, item_id, CASE WHEN user_id > 1 THEN tag END AS tag FROM a;
SELECT tagrec_train('m', 'null_user', 'popularity', tag_column => NULL);
SELECT tagrec_train('m', 'null_item', 'popularity');
SELECT tagrec_train('m', 'null_tag', 'tag_popular');
CREATE VIEW nulls AS SELECT nullif(user_id, 7) AS user_id, nullif(item_id, 'item 7') AS item_id, tag FROM a;
SELECT tagrec_train('m', 'nulls', 'popularity', tag_column => NULL);
CREATE VIEW weights AS SELECT user_id, item_id, tag, nullif(user_id, 3)::float8 AS nulls, 50.0 - user_id AS negatives,
	'NaN'::float8 AS nans, 'Infinity'::float8 AS infinities, 1e300 AS large FROM a;
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'nulls');
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'negatives') IS NULL AS negative;
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'nans');
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'infinities');
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'large');
SELECT tagrec_train('m', 'a', 'popularity', '{"min_tag_count": 1000}');
SELECT tagrec_train('m', 'a', 'popularity', '{"core": 60}');
SELECT tagrec_train('m', 'a', 'popularity', '{"core": -1}');
CREATE VIEW broken AS SELECT user_id, item_id, 1 / (user_id - user_id) AS tag FROM a;
SELECT tagrec_train('m', 'broken', 'popularity');

-- what the source calls runs with the worker's search_path
CREATE FUNCTION rows_of_a() RETURNS SETOF a LANGUAGE sql AS 'SELECT * FROM a';
CREATE VIEW called AS SELECT * FROM rows_of_a();
\set SHOW_CONTEXT never
SELECT tagrec_train('m', 'called', 'popularity');
\set SHOW_CONTEXT errors
ALTER FUNCTION rows_of_a SET search_path = refused;
SELECT tagrec_train('called', 'called', 'popularity') > 0 AS trained;
-- a source that is gone before the job starts
CREATE TABLE gone AS TABLE a;
BEGIN;
SELECT tagrec_train('m', 'gone', 'popularity', wait => false) AS job \gset
DROP TABLE gone;
COMMIT;
\set VERBOSITY sqlstate
CALL tagrec_wait(:job, '60 s');
\set VERBOSITY default
SELECT detail FROM tagrec_jobs WHERE job = :job;

-- one user, one item
CREATE VIEW one_user AS SELECT * FROM a WHERE user_id = 1;
CREATE VIEW one_item AS SELECT * FROM a WHERE item_id = 'item 1';
SELECT tagrec_train('one_user', 'one_user', 'popularity') > 0 AS trained;
SELECT tagrec_train('one_item', 'one_item', 'popularity') > 0 AS trained;
SELECT tagrec_train('m', 'one_item', 'hdlpr_ns', '{"layers": [4], "epochs": 1}');

-- a share that leaves nothing to measure on
CREATE VIEW one_pair AS SELECT * FROM a WHERE user_id = 1 LIMIT 1;
SELECT tagrec_train('m', 'one_pair', 'popularity', '{"validation": 0.01}');
SELECT tagrec_train('m', 'a', 'popularity', '{"validation": 0.004}');
-- or nothing to train on
CREATE VIEW held_out_pair AS SELECT 2 AS user_id, 'item 8' AS item_id, 'tag' AS tag;
SELECT tagrec_fold('2'::text, 'item 8', 'validation:1') < 50 AS held_out;
SELECT tagrec_train('m', 'held_out_pair', 'popularity', '{"validation": 0.5}');

-- a message and its detail, without the figures that depend on the machine
CREATE FUNCTION complaint(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE command;
	RETURN 'none';
EXCEPTION WHEN out_of_memory OR numeric_value_out_of_range THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN regexp_replace(SQLERRM || '; ' || detail, '(about|take|in epoch|became) ([0-9]+|NaN|infinite)', '\1 …', 'g');
END $$;

-- a training that diverges
SELECT complaint($$SELECT tagrec_train('m', 'a', 'hdlpr_ns', '{"layers": [8], "optimizer": "sgd", "learning_rate": 10,
	"regularization": 0.9, "loss": "sum", "epochs": 1000, "threads": 1}')$$);

-- memory
SET tagrec.max_memory = '1MB';
SELECT complaint($$SELECT tagrec_train('m', 'a', 'hdlpr_ns', '{"layers": [2000]}')$$);
CREATE VIEW large AS SELECT u AS user_id, u AS item_id, u AS tag FROM generate_series(1, 100000) u;
SELECT complaint($$SELECT tagrec_train('m', 'large', 'popularity')$$) ~ '^training needs more memory than tagrec.max_memory allows; The limit is 1 MB'
	AS while_reading;
RESET tagrec.max_memory;

-- failed jobs say why; nothing else is left
SELECT state, sqlstate, message IS NOT NULL AS message, version IS NULL AS no_version, finished_at IS NOT NULL AS finished,
		count(*)
	FROM tagrec_jobs WHERE job > :last_job AND model = 'm' GROUP BY 1, 2, 3, 4, 5 ORDER BY 2;
SELECT * FROM tagrec_models WHERE model = 'm';
SELECT relname FROM pg_class WHERE relnamespace = 'refused'::regnamespace AND relname LIKE 'm\_%';

-- key types do not change under a model
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
CREATE VIEW text_users AS SELECT user_id::text, item_id, tag FROM a;
CREATE VIEW other_order AS SELECT user_id, item_id COLLATE "C" AS item_id, tag FROM a;
SELECT tagrec_train('m', 'text_users', 'popularity');
SELECT tagrec_train('m', 'other_order', 'popularity');
SELECT tagrec_train('m', 'a', 'popularity', '{"schema": "public"}');
SELECT version, deployed FROM tagrec_versions WHERE model = 'm';

-- a relation that was dropped behind the model's back
DROP VIEW m_item_embedding;
SELECT tagrec_train('m', 'a', 'popularity');
SELECT owner FROM tagrec_models WHERE model = 'm';
SELECT tagrec_drop('m');
SELECT tagrec_train('m', 'a', 'popularity') > 0 AS trained;
SELECT tagrec_drop('m'), tagrec_drop('one_user'), tagrec_drop('one_item'), tagrec_drop('called');

SET client_min_messages = error;
DROP SCHEMA refused CASCADE;
