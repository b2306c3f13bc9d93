--
-- deploy => 'if_better': versions are compared on held-out pairs that neither was trained on
--
CREATE SCHEMA better;
SET search_path = better, public;
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET tagrec.progress_interval = '1h';
SELECT max(job) AS last_job FROM (SELECT job FROM tagrec_jobs UNION ALL SELECT 0) j \gset
-- twelve groups, whose users have most of the items of theirs and some others
CREATE TABLE grouped AS SELECT u AS user_id, i AS item_id, 't' || (u * 31 + i * 17) % 40 AS tag
	FROM generate_series(1, 240) u, generate_series(1, 120) i
	WHERE (u % 12 = i % 12 AND (u + i / 12) % 5 > 0) OR (u * 7 + i * 13) % 97 = 0;
CREATE FUNCTION train(model text, algorithm text, options jsonb DEFAULT '{}', source regclass DEFAULT 'grouped') RETURNS bigint
LANGUAGE sql AS $$ SELECT tagrec_train(model, source, algorithm, '{"threads": 1, "keep_versions": 20}' || options, deploy => 'if_better') $$;
CREATE VIEW compared AS SELECT model, version, deployed, compared_with, compared_metric, round(compared_value::numeric, 6) AS value,
	round(compared_with_value::numeric, 6) AS with_value FROM tagrec_history;

-- a first version is deployed; pairs are held out of it as well
CREATE TABLE growing AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id, 'new') < 60;
SELECT train('g', 'popularity', source => 'growing') > 0 AS trained;
SELECT version, deployed, compared_with, requested_options FROM tagrec_history WHERE model = 'g';
-- nothing has come since: what it has held out is in its users' profiles
SELECT train('g', 'ease', source => 'growing') > 0 AS trained;
SELECT version, deployed, compared_with, value FROM compared WHERE model = 'g' ORDER BY version;
-- a better algorithm is deployed, a worse one is not, the same one again is
INSERT INTO growing SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id, 'new') BETWEEN 60 AND 79;
SELECT train('g', 'ease', '{"validation": 0.5}', 'growing') > 0 AS trained;
INSERT INTO growing SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id, 'new') >= 80;
SELECT train('g', 'popularity', '{"validation": 0.5}', source => 'growing') > 0 AS trained;
SELECT tagrec_retrain('g', deploy => 'if_better') > 0 AS trained;
SELECT version, deployed, deployed_at IS NOT NULL AS was_deployed, compared_with, compared_metric, compared_value > compared_with_value AS better
	FROM tagrec_history WHERE model = 'g' ORDER BY version;
SELECT algorithm, deployed FROM tagrec_versions WHERE model = 'g' ORDER BY version;
-- the figures of version 3 and of version 1 on the pairs of the second part that version 3 has held out
CREATE VIEW first AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id, 'new') < 60;
CREATE VIEW second AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id, 'new') < 80;
CREATE VIEW second_fit AS SELECT * FROM second WHERE tagrec_fold(user_id, item_id, 'validation:1') >= 50;
CREATE VIEW second_held AS SELECT DISTINCT user_id, item_id FROM second
	WHERE tagrec_fold(user_id, item_id, 'validation:1') < 50 AND tagrec_fold(user_id, item_id, 'new') >= 60;
SELECT tagrec_train('e', 'second_fit', 'ease', '{"threads": 1}') > 0 AS e;
SELECT abs(c.value - e.value) < 1e-5 AS ease, abs(c.with_value - p.value) < 1e-5 AS popularity
	FROM compared c, tagrec_evaluate('e', 'second_held', '{20}') e, tagrec_evaluate('g', 'second_held', '{20}', version => 1) p
	WHERE c.model = 'g' AND c.version = 3 AND e.metric = 'ndcg' AND p.metric = 'ndcg';

-- pairs of another relation; tags, for which there is no other way; auto and tuning
CREATE VIEW fit AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id) >= 10;
CREATE VIEW held AS SELECT DISTINCT user_id, item_id FROM grouped WHERE tagrec_fold(user_id, item_id) < 10;
SELECT tagrec_train('e', 'fit', 'ease', '{"threads": 1}') > 0 AS e, tagrec_train('p', 'fit', 'popularity', '{"threads": 1}') > 0 AS p;
SELECT train('v', 'popularity', '{"validation_source": "held"}', 'fit') > 0 AS trained;
SELECT train('v', 'ease', '{"validation_source": "held"}', 'fit') > 0 AS trained;
SELECT abs(c.value - e.value) < 1e-5 AS ease, abs(c.with_value - p.value) < 1e-5 AS popularity, deployed
	FROM compared c, tagrec_evaluate('e', 'held', '{20}') e, tagrec_evaluate('p', 'held', '{20}') p
	WHERE c.model = 'v' AND c.version = 2 AND e.metric = 'ndcg' AND p.metric = 'ndcg';
CREATE TABLE tagged AS SELECT user_id, item_id, 't' || (user_id + item_id * t) % 9 AS tag FROM grouped, generate_series(1, 3) t;
CREATE VIEW tag_fit AS SELECT * FROM tagged WHERE tagrec_holdout(user_id, item_id, tag) > '3';
CREATE VIEW tag_held AS SELECT * FROM tagged WHERE tagrec_holdout(user_id, item_id, tag) <= '3';
SELECT train('t', 'tag_popular', '{"validation_source": "tag_held", "by": "all", "metric": "mrr"}', 'tag_fit') > 0 AS trained;
SELECT train('t', 'tag_product', '{"validation_source": "tag_held", "metric": "mrr"}', 'tag_fit') > 0 AS trained;
SELECT compared_with, compared_metric, deployed = (value >= with_value) AS right FROM compared WHERE model = 't' AND version = 2;
SELECT train('v', 'auto', '{"candidates": "popularity, ease", "validation_source": "held"}', 'fit') > 0 AS trained;
SELECT tagrec_tune('v', 'fit', 'ease', '{"lambda": [1000]}', 2, '{"threads": 1, "keep_versions": 20, "validation_source": "held"}',
	deploy => 'if_better') > 0 AS tuned;
SELECT version, deployed, value >= with_value AS better FROM compared WHERE model = 'v' ORDER BY version;
-- a share is held out of what auto has chosen, and of what a tuning has, for good
SELECT train('a', 'auto', '{"candidates": "popularity, ease"}') > 0 AS trained;
SELECT tagrec_tune('a', 'grouped', 'ease', '{"lambda": [1000]}', 2, '{"threads": 1, "keep_versions": 20, "validation": 0.2}',
	deploy => 'if_better') > 0 AS tuned;
SELECT version, requested_options -> 'validation' AS held_out FROM tagrec_history WHERE model = 'a' ORDER BY version;

-- by hand: two versions of a model, NULL is the deployed one
SELECT DISTINCT c.model, c.version, c.versus, c.versus_version, abs(c.value - h.compared_value) < 1e-5 AS same, abs(c.versus_value - h.compared_with_value) < 1e-5 AS versus_same
	FROM tagrec_compare('{v,v}', 'held', versions => '{2,1}') c JOIN tagrec_history h ON h.model = 'v' AND h.version = 2;
SELECT model, version, versus, versus_version FROM tagrec_compare('{v,v,e}', 'held', versions => '{1,NULL,NULL}');

-- what is refused
SELECT tagrec_compare('{v,v}', 'held');
SELECT tagrec_compare('{v,v}', 'held', versions => '{4,NULL}');
SELECT tagrec_compare('{v,v}', 'held', versions => '{4}');
SELECT tagrec_compare('{v,v}', 'held', versions => '{4,44}');
RESET client_min_messages;
SELECT tagrec_train('t', 'tag_fit', 'tag_product', deploy => 'if_better');
SELECT tagrec_train('r', 'grouped', 'bias', value_column => 'item_id', deploy => 'if_better');
SET client_min_messages = error;
SELECT count(tagrec_drop(model)) FROM tagrec_models WHERE schema = 'better';
DELETE FROM tagrec_job WHERE job > :last_job;
DROP SCHEMA better CASCADE;
