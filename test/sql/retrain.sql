--
-- retraining: with the settings of the deployed version, told what differs, deployed or not; the history
--
CREATE SCHEMA again;
SET search_path = again, public;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
\getenv srcdir PG_ABS_SRCDIR
\set assignments :srcdir /fixture/assignments.sql
\i :assignments
CREATE VIEW fit AS SELECT user_id AS who, item_id AS what, tag AS label, 1 AS w FROM a WHERE tagrec_fold(user_id, item_id) < 80;
CREATE VIEW held AS SELECT user_id AS who, item_id AS what FROM a WHERE tagrec_fold(user_id, item_id) >= 80;
SELECT max(job) AS last_job FROM (SELECT job FROM tagrec_jobs UNION ALL SELECT 0) j \gset

-- what a retraining remembers: algorithm, source, columns, options, device
SELECT tagrec_train('m', 'fit', 'ease', '{"lambda": 7, "keep_versions": 9, "threads": 1, "validation_source": "held"}', 'who', 'what', 'label',
	'w', 'cpu') > 0 AS trained;
SET search_path = public;
SELECT tagrec_retrain('m') > 0 AS trained;
SELECT tagrec_retrain('m', '{"lambda": 8}', device => 'auto') > 0 AS trained;
-- null takes an option away; validation puts validation_source aside
SELECT tagrec_retrain('m', '{"lambda": null, "validation": 0.2, "seed": 7}') > 0 AS trained;
SET search_path = again, public;
SELECT version, deployed, algorithm, source, user_column, item_column, tag_column, weight_column, device, requested_options, metric
	FROM tagrec_versions WHERE model = 'm' ORDER BY version;
-- the same source and settings give the same model
SELECT count(*) AS weights, bool_and(x.weights = y.weights) AS same FROM m_neighbour_versions x JOIN m_neighbour_versions y USING (feature)
	WHERE x.version = 1 AND y.version = 2;
-- what tuning chose is remembered, too: the options, and the epoch that was best
SELECT tagrec_tune('n', 'a', 'dspr', '{"layers": [[4]]}', 2, '{"epochs": 2, "validation": 0.2, "threads": 1, "keep_versions": 3}', metric => 'mrr') > 0 AS tuned;
SELECT tagrec_retrain('n') > 0 AS trained;
SELECT count(DISTINCT requested_options) AS options, count(DISTINCT options) AS effective, count(*) FROM tagrec_versions WHERE model = 'n';
SELECT count(*) AS users, bool_and(x.embedding = y.embedding) AS same FROM n_user_versions x JOIN n_user_versions y USING (user_id)
	WHERE x.version = 1 AND y.version = 2;
-- unless the number of epochs is another
SELECT tagrec_retrain('n', '{"epochs": 3}') > 0 AS trained;
SELECT epochs, requested_options ? 'stop_after' AS stop_after FROM tagrec_versions WHERE model = 'n' AND deployed;

-- what a training does otherwise than the deployed version is told
SET client_min_messages = notice;
SET tagrec.progress_interval = '1h';
SELECT tagrec_train('m', 'fit', 'ease', '{"validation_source": "held", "seed": 7}', 'who', 'what', 'label', 'w', wait => false) AS job \gset
SELECT tagrec_cancel(:job);
SELECT tagrec_train('m', 'a', 'popularity', device => 'cpu', wait => false) AS job \gset
SELECT tagrec_cancel(:job);
SELECT tagrec_train('n', 'a', 'dspr', wait => false) AS job \gset
SELECT tagrec_cancel(:job);
SET client_min_messages = warning;

-- not deployed; the first version always is
SELECT tagrec_retrain('m', deploy => 'never') > 0 AS trained;
SELECT version, deployed FROM tagrec_versions WHERE model = 'm' ORDER BY version;
SELECT tagrec_train('first', 'a', 'popularity', '{"keep_versions": 0}', deploy => 'never') > 0 AS trained;
SELECT tagrec_train('first', 'a', 'popularity', '{"keep_versions": 0}', deploy => 'never') > 0 AS trained;
SELECT tagrec_tune('first', 'a', 'popularity', '{"epochs": [1]}', 1, '{"validation": 0.2, "keep_versions": 0}', deploy => 'never') > 0 AS tuned;
SELECT version, deployed FROM tagrec_versions WHERE model = 'first' ORDER BY version;
SELECT tagrec_deploy('first', 3);

-- the history has the versions that are not kept as well
SELECT tagrec_retrain('first') > 0 AS trained;
SELECT version, kept, deployed, deployed_at IS NOT NULL AS was_deployed, algorithm, users, pairs, metric IS NOT NULL AS measured, bytes > 1000 AS bytes,
	seconds > 0 AS seconds, source FROM tagrec_history WHERE model = 'first' ORDER BY version;
-- a number is not used again
SELECT tagrec_train('first', 'a', 'popularity', '{"keep_versions": 0}') > 0 AS trained;
SELECT array_agg(version ORDER BY version) FROM tagrec_history WHERE model = 'first';
SELECT deployed_at > created_at AS later FROM tagrec_history WHERE model = 'first' AND version = 3;

-- what has come since: a pair, a user, an item, a pair of both; and what is gone
CREATE TABLE changing AS SELECT * FROM a;
SELECT tagrec_train('stale', 'changing', 'popularity') > 0 AS trained;
SELECT * FROM tagrec_stale('stale');
INSERT INTO changing SELECT 1, item_id, 'tag 1' FROM (SELECT DISTINCT item_id FROM a EXCEPT SELECT item_id FROM a WHERE user_id = 1) i ORDER BY 2 LIMIT 1;
INSERT INTO changing VALUES (1001, 'item 1', 'tag 1'), (1001, 'item 1', 'tag 2'), (2, 'newest item', 'tag 1'), (1002, 'newer item', 'tag 1');
DELETE FROM changing WHERE user_id = 3 AND item_id = (SELECT min(item_id) FROM a WHERE user_id = 3);
SELECT * FROM tagrec_stale('stale');
SELECT tagrec_retrain('stale') > 0 AS trained;
SELECT version, pairs, new_pairs, new_users, new_items, gone_pairs FROM tagrec_stale('stale');

-- a schema for models
CREATE SCHEMA kept;
SET tagrec.model_schema = 'kept';
SELECT tagrec_train('elsewhere', 'changing', 'popularity') > 0 AS trained;
SELECT schema FROM tagrec_models WHERE model = 'elsewhere';
SELECT tagrec_train('here', 'changing', 'popularity', '{"schema": "again"}') > 0 AS trained;
-- a model stays where it is
SET tagrec.model_schema = '';
SELECT tagrec_retrain('elsewhere') > 0 AS trained;
SELECT schema, deployed_version FROM tagrec_models WHERE model IN ('elsewhere', 'here') ORDER BY model;
SET tagrec.model_schema = 'nowhere';
SELECT tagrec_train('nowhere', 'changing', 'popularity');
RESET tagrec.model_schema;
SELECT tagrec_drop('elsewhere');
DROP SCHEMA kept;

-- what is refused
\set VERBOSITY terse
SELECT tagrec_retrain('nobody');
SELECT tagrec_retrain(NULL);
SELECT tagrec_retrain('m', deploy => 'perhaps');
SELECT tagrec_retrain('m', deploy => NULL);
SELECT tagrec_retrain('m', '[1]');
SELECT tagrec_retrain('m', '{"lamda": 1}');
SELECT tagrec_train('m', 'a', deploy => 'perhaps');
ALTER VIEW fit RENAME TO fitted;
SELECT tagrec_retrain('m');
ALTER VIEW fitted RENAME TO fit;
\set VERBOSITY default

-- who may: the owner; others who do it for him read the source as he
CREATE ROLE regress_tagrec_owner LOGIN;
GRANT USAGE, CREATE ON SCHEMA again TO regress_tagrec_owner;
GRANT SELECT ON a TO regress_tagrec_owner;
SET ROLE regress_tagrec_owner;
SELECT tagrec_retrain('m');
CREATE FUNCTION reads() RETURNS boolean LANGUAGE sql AS 'SELECT current_user = ''regress_tagrec_owner''';
CREATE VIEW mine AS SELECT * FROM a WHERE again.reads();
SELECT tagrec_train('mine', 'mine', 'popularity') > 0 AS trained;
SELECT model, version FROM tagrec_history ORDER BY model, version;
SELECT new_pairs FROM tagrec_stale('mine');
SELECT tagrec_stale('stale');
RESET ROLE;
GRANT SELECT ON stale_item_embedding TO regress_tagrec_owner;
SET ROLE regress_tagrec_owner;
SELECT tagrec_stale('stale');
RESET ROLE;
SELECT tagrec_retrain('mine') > 0 AS trained;
SELECT version, users, assignments FROM tagrec_versions WHERE model = 'mine' ORDER BY version;

SELECT count(tagrec_drop(model)) FROM tagrec_models WHERE schema = 'again';
SELECT count(*) FROM tagrec_result;
DELETE FROM tagrec_job WHERE job > :last_job;
DROP OWNED BY regress_tagrec_owner;
DROP ROLE regress_tagrec_owner;
DROP SCHEMA again CASCADE;
