-- The option validation_source: a model is measured, while it trains, on the pairs of another relation.
SET client_min_messages = warning;
CREATE SCHEMA valid;
SET search_path = valid, public;
\set SHOW_CONTEXT never
\getenv srcdir PG_ABS_SRCDIR
\set posts :srcdir /fixture/posts.sql
\i :posts

SELECT tagrec_train('a', 'train', 'dspr', '{"validation_source": "held_out", "epochs": 4, "layers": [8], "metric_k": 5, "threads": 1}') > 0 AS trained;
-- every epoch was measured, and the version says on what
SELECT count(*) AS epochs, count(metric_value) AS measured FROM tagrec_epochs WHERE model = 'a';
SELECT metric, metric_value = (SELECT max(metric_value) FROM tagrec_epochs WHERE model = 'a') AS best, options ->> 'validation_source' AS source,
	requested_options ->> 'validation_source' AS requested FROM tagrec_versions WHERE model = 'a';
-- nothing of the source was held back
SELECT pairs = (SELECT count(DISTINCT (user_id, item_id)) FROM train) AS all_pairs FROM tagrec_versions WHERE model = 'a';
-- the figure is tagrec_evaluate's, but for rounding in the scores, where every pair is known
SELECT abs(e.value - v.metric_value) < 0.02 AS equal FROM tagrec_versions v, tagrec_evaluate('a', 'held_out', '{5}') e
WHERE v.model = 'a' AND e.metric = 'ndcg';
-- a refresh keeps the weights and needs no validation; the relation may be gone
CREATE VIEW gone AS SELECT * FROM held_out;
SELECT tagrec_train('b', 'train', 'dspr', '{"validation_source": "gone", "epochs": 1, "layers": [8], "metric": "mrr"}') > 0 AS trained;
DROP VIEW gone;
SELECT tagrec_refresh('b') > 0 AS refreshed;
SELECT version, metric, metric_value IS NOT NULL AS measured, options ->> 'validation_source' AS source FROM tagrec_versions WHERE model = 'b' ORDER BY version;

-- pairs that cannot be used do not count; the keys may be of another type
CREATE TABLE mixture AS SELECT user_id::text, item_id::bigint FROM held_out UNION ALL SELECT '1000', 3 UNION ALL SELECT '1', 777;
INSERT INTO mixture SELECT user_id, item_id FROM train WHERE user_id = 1;
SELECT tagrec_train('c', 'train', 'dspr', '{"validation_source": "mixture", "epochs": 4, "layers": [8], "metric_k": 5, "threads": 1}') > 0 AS trained;
SELECT count(DISTINCT metric_value) AS figures FROM tagrec_versions WHERE model IN ('a', 'c');
RESET client_min_messages;

-- what is refused, before anything starts
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "nowhere"}');
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "held_out", "validation": 0.1}');
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": null}');
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "a b c.d"}');
CREATE TABLE named_otherwise (who int, what int);
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "named_otherwise"}');
CREATE TEMP TABLE passing AS SELECT * FROM held_out;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "passing"}');
CREATE SEQUENCE numbers;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "numbers"}');
-- and what the worker finds
CREATE TABLE nobody AS SELECT 1000 AS user_id, 1 AS item_id;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "nobody"}');
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "train"}');
CREATE TABLE holey AS SELECT 1 AS user_id, NULL::int AS item_id;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "holey"}');
CREATE TABLE nothing (user_id int, item_id int);
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "nothing"}');
CREATE TABLE letters AS SELECT 'x' AS user_id, 1 AS item_id;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "letters"}');
-- it is read as the role that trains
CREATE ROLE regress_tagrec_trainer LOGIN;
GRANT USAGE, CREATE ON SCHEMA valid TO regress_tagrec_trainer;
GRANT SELECT ON train TO regress_tagrec_trainer;
SET ROLE regress_tagrec_trainer;
SELECT tagrec_train('d', 'train', 'dspr', '{"validation_source": "held_out", "epochs": 1}');
RESET ROLE;
SELECT model FROM tagrec_models WHERE model = 'd';

SET client_min_messages = warning;
SELECT tagrec_drop(model) FROM tagrec_models WHERE schema = 'valid';
DELETE FROM tagrec_job WHERE model IN ('a', 'b', 'c', 'd');
DROP OWNED BY regress_tagrec_trainer;
DROP ROLE regress_tagrec_trainer;
DROP SCHEMA valid CASCADE;
