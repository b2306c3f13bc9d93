--
-- auto: an algorithm is chosen on held-out data, by trials that are recorded, within limits
--
CREATE SCHEMA choosing;
SET search_path = choosing, public;
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT max(job) AS last_job FROM (SELECT job FROM tagrec_jobs UNION ALL SELECT 0) j \gset
-- twelve groups, whose users have most of the items of theirs and some others; tags say nothing
CREATE TABLE grouped AS SELECT u AS user_id, i AS item_id, 't' || (u * 31 + i * 17) % 40 AS tag
	FROM generate_series(1, 240) u, generate_series(1, 120) i
	WHERE (u % 12 = i % 12 AND (u + i / 12) % 5 > 0) OR (u * 7 + i * 13) % 97 = 0;

-- what it tries, how good it is, what it chooses; trained and deployed as if it had been asked for
CREATE FUNCTION choose(model text, options jsonb DEFAULT '{}', algorithm text DEFAULT 'auto', source regclass DEFAULT 'grouped') RETURNS bigint
LANGUAGE sql AS $$
	SELECT tagrec_train(model, source, algorithm, '{"threads": 1, "epochs": 3, "candidates": "popularity, item_knn, ease, tag_bm25, hdlpr_ns"}' || options)
$$;
SELECT choose('m') AS job \gset
SELECT kind, algorithm, state FROM tagrec_jobs WHERE job = :job;
SELECT trial, settings - 'lambda' AS settings, state, metric, value BETWEEN 0 AND 1 AS value, stderr BETWEEN 0.0001 AND 0.1 AS stderr, best_epoch <= epochs AS epochs, options ->> 'epochs' AS planned, error
	FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT t.settings ->> 'algorithm' = v.algorithm AS chosen, t.value = (SELECT max(value) FROM tagrec_trials WHERE job = :job) AS best,
	v.algorithm IN ('item_knn', 'ease') AS collaborative, v.deployed, v.requested_options - 'stop_after' - 'lambda' AS requested, v.metric IS NULL AS on_all
	FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;
SELECT algorithm AS chosen, requested_options AS requested FROM tagrec_versions WHERE model = 'm' \gset
-- what the algorithm has chosen itself is an option of the model
SELECT t.settings ? 'lambda' AS told, v.options -> 'lambda' = t.settings -> 'lambda' AS same, v.requested_options -> 'lambda' = t.settings -> 'lambda' AS asked
	FROM tagrec_trials t JOIN tagrec_versions v USING (job) WHERE t.job = :job AND t.settings ->> 'algorithm' = 'ease' AND v.algorithm = 'ease';
-- on all pairs: the same model as that of a direct call
SELECT tagrec_train('direct', 'grouped', :'chosen', :'requested') > 0 AS trained;
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE m.weights IS DISTINCT FROM d.weights) AS different
	FROM m_neighbour_versions m FULL JOIN direct_neighbour_versions d USING (feature);
-- its quality is in the history
SELECT h.metric, h.metric_value = t.value AS same FROM tagrec_history h JOIN tagrec_trials t ON t.job = h.job AND t.best WHERE h.model = 'm';
-- a retraining trains what was chosen; the call again reuses its trials
SELECT tagrec_retrain('m') > 0 AS trained;
SELECT count(DISTINCT algorithm) AS algorithms, count(DISTINCT options) AS options, count(*) AS versions FROM tagrec_versions WHERE model = 'm';
SELECT choose('m') AS job2 \gset
SELECT count(*), bool_and(done_by = :job) AS reused FROM tagrec_trials WHERE job = :job2;

-- the list in the order that is given; the data decide: here tags tell everything
CREATE TABLE labelled AS SELECT u AS user_id, u * 100 + i AS item_id, 'kind ' || u % 4 AS tag FROM generate_series(1, 60) u, generate_series(1, 2) i
	UNION ALL SELECT u, (1 + (u + k * 4) % 60) * 100 + 1, 'kind ' || u % 4 FROM generate_series(1, 60) u, generate_series(1, 3) k;
SELECT choose('l', '{"candidates": "tag_bm25,popularity"}', source => 'labelled') AS job \gset
SELECT settings ->> 'algorithm' AS algorithm, best FROM tagrec_trials WHERE job = :job ORDER BY trial;

-- all candidates of our own, a sample of the users, time that runs out
SELECT choose('s', '{"candidates": "", "sample": 900, "metric": "recall", "metric_k": 5}') AS job \gset
SELECT count(*) AS trials, min(metric) AS metric FROM tagrec_trials WHERE job = :job;
-- where tags say nothing, what lives on them is not tried, and a blend has members that do not read them
SELECT string_agg(settings ->> 'algorithm', ', ' ORDER BY trial) AS algorithms, bool_and(state = 'done') AS done FROM tagrec_trials WHERE job = :job;
SELECT options ->> 'members' AS members FROM tagrec_trials WHERE job = :job AND settings ->> 'algorithm' = 'blend';
SELECT v.pairs = (SELECT count(DISTINCT (user_id, item_id)) FROM grouped) AS on_all, requested_options ? 'stop_after' AS stop_after
	FROM tagrec_versions v WHERE job = :job;
SELECT choose('t', '{"max_seconds": 1.5, "candidates": "popularity, hdlpr_ns, ease", "epochs": 100000, "patience": 0}') AS job \gset
SELECT settings - 'lambda' AS settings, state, sqlstate, regexp_replace(error, '[0-9.]+ s$', '… s') AS error FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT algorithm FROM tagrec_versions WHERE job = :job;
-- what takes too long by its estimate is not tried; without budget for anything, there is a default
SELECT choose('e', '{"budget": 0.3, "candidates": "popularity, hdlpr_ns, ease"}') AS job \gset
SELECT settings - 'lambda' AS settings, state, sqlstate, regexp_replace(error, '[0-9.]+ s', '… s', 'g') AS error FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT choose('e0', '{"budget": 0}') AS job \gset
SELECT algorithm, requested_options, (SELECT count(*) FROM tagrec_trials WHERE job = :job AND state = 'done') AS done FROM tagrec_versions WHERE job = :job;
-- what cannot become the best any more is given up
SELECT choose('h', '{"candidates": "ease, hdlpr_ns", "epochs": 1000, "patience": 0}') AS job \gset
SELECT settings - 'lambda' AS settings, state, regexp_replace(error, '[0-9]+ of', '… of') ~ '^given up after … of 1000 epochs: ndcg@20 0\.' AS error FROM tagrec_trials WHERE job = :job ORDER BY trial;
-- what would need too much memory is not chosen
SET tagrec.max_memory = '3MB';
SELECT choose('small', '{"candidates": "hdlpr_ns, popularity"}') AS job \gset
RESET tagrec.max_memory;
SELECT settings - 'lambda' AS settings, state, sqlstate FROM tagrec_trials WHERE job = :job ORDER BY trial;

-- held-out pairs of another relation; tags; blend, which chooses by held-out pairs itself
CREATE VIEW fit AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id) < 80;
CREATE VIEW held AS SELECT * FROM grouped WHERE tagrec_fold(user_id, item_id) >= 80;
SELECT choose('v', '{"validation_source": "held"}', source => 'fit') AS job \gset
SELECT v.metric_value = t.value AS same, v.options ->> 'validation_source' AS source, requested_options - 'lambda' AS requested_options
	FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;
-- also for an algorithm that holds out a share by default
SELECT choose('v', '{"validation_source": "held", "candidates": "blend"}', source => 'fit') AS job \gset
SELECT algorithm, options ->> 'validation' AS validation, metric_value IS NOT NULL AS measured FROM tagrec_versions WHERE job = :job;
CREATE TABLE tagged AS SELECT user_id, item_id, 't' || (user_id + item_id * t) % 9 AS tag FROM grouped, generate_series(1, 3) t;
SELECT choose('w', '{"candidates": "", "epochs": 2}', 'auto_tags', 'tagged') AS job \gset
SELECT settings - 'lambda' AS settings, state, metric FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT task, deployed FROM tagrec_versions WHERE job = :job;
SELECT choose('b', '{"candidates": "blend", "validation": 0.2}') AS job \gset
-- it keeps the members that have weight, and has then learned from the held-out pairs, too; the same again, without looking at earlier trials
SELECT t.settings - 'algorithm' = v.requested_options - '{epochs,threads,validation}'::text[] AS settled, v.requested_options ->> 'validation' AS validation,
	v.metric IS NULL AS on_all FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;
SELECT choose('b2', '{"candidates": "blend", "validation": 0.2}') AS job2 \gset
SELECT count(DISTINCT requested_options) AS options, count(DISTINCT loss) AS losses FROM tagrec_versions WHERE job IN (:job, :job2);
SELECT choose('b', '{"candidates": "blend", "validation": 0.2}') AS job3 \gset
SELECT count(DISTINCT v.requested_options) AS options, bool_or(t.done_by = :job) AS reused
	FROM tagrec_versions v JOIN tagrec_trials t USING (job) WHERE v.job IN (:job, :job3);

-- a retraining has the members and the weights that were chosen
SELECT tagrec_retrain('b2') > 0 AS trained;
SELECT count(DISTINCT algorithm) AS algorithms, count(DISTINCT requested_options) AS options, count(*) AS versions FROM tagrec_versions WHERE model = 'b2';

-- without tags, those that need none are tried
SELECT tagrec_train('u', 'grouped', 'auto', '{"threads": 1, "epochs": 2}', tag_column => NULL) AS job \gset
SELECT count(*) > 3 AS some, bool_and(NOT a.needs_tags) AS without_tags FROM tagrec_trials t JOIN tagrec_algorithms a ON a.algorithm = t.settings ->> 'algorithm'
	WHERE job = :job;

-- where every item has one user, nothing but its tags tells of an item that is held out
CREATE TABLE owned AS SELECT i % 60 AS user_id, i AS item_id, 'kind ' || (i % 60 + t * 12) % 30 AS tag FROM generate_series(1, 900) i, generate_series(0, 2) t;
SELECT choose('c', '{"candidates": "", "epochs": 5}', source => 'owned') AS job \gset
SELECT string_agg(settings ->> 'algorithm', ', ' ORDER BY trial) AS algorithms, max(value) > 2 * min(value) AS tags_tell FROM tagrec_trials WHERE job = :job;
SELECT algorithm <> 'popularity' AS by_tags FROM tagrec_versions WHERE job = :job;
-- attributes of items are tags
CREATE TABLE kinds AS SELECT item_id, array_agg(tag ORDER BY tag) AS kinds FROM owned GROUP BY 1;
SELECT tagrec_train('a', 'owned', 'auto', '{"threads": 1, "epochs": 5}', tag_column => NULL, item_features => 'kinds') AS job \gset
SELECT string_agg(settings ->> 'algorithm', ', ' ORDER BY trial) AS algorithms, max(value) > 2 * min(value) AS tags_tell FROM tagrec_trials WHERE job = :job;

-- how good each is for users, and at items, whose pairs are all held out, by themselves
CREATE TABLE visited AS SELECT user_id, item_id, tag FROM grouped UNION ALL SELECT u, 118 + u % 3, 't1' FROM generate_series(1001, 1060) u;
SELECT choose('s', '{"candidates": "popularity, item_knn"}', source => 'visited') AS job \gset
SELECT settings ->> 'algorithm' AS algorithm, value > 0 AS good, new_users > 0.1 AS good_for_new_users, new_items
	FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT choose('s', '{"candidates": "popularity, item_knn"}', source => 'visited') AS job2 \gset
SELECT count(DISTINCT new_users) AS figures, bool_and(done_by = :job) AS reused FROM tagrec_trials WHERE job IN (:job, :job2) AND settings ->> 'algorithm' = 'popularity';
CREATE TABLE unseen AS SELECT user_id, item_id, tag FROM owned;
SELECT choose('s', '{"candidates": "popularity, tag_bm25"}', source => 'unseen') AS job \gset
SELECT settings ->> 'algorithm' AS algorithm, new_users, abs(new_items - value) < 0.02 AS nearly_all_are_new FROM tagrec_trials WHERE job = :job ORDER BY trial;

-- values, predicted
CREATE TABLE rated AS SELECT user_id, item_id, 3 + (user_id % 3) / 2.0 + CASE WHEN user_id % 12 = item_id % 12 THEN 1 ELSE -1 END AS value
	FROM generate_series(1, 60) user_id, generate_series(1, 60) item_id WHERE (user_id * 7 + item_id * 11) % 4 = 0;
SELECT tagrec_train('r', 'rated', 'auto_ratings', '{"threads": 1, "epochs": 5}', tag_column => NULL, value_column => 'value') AS job \gset
SELECT string_agg(settings ->> 'algorithm', ', ' ORDER BY trial) AS algorithms, min(metric) AS metric, count(*) FILTER (WHERE best) AS best,
	min(value) = min(value) FILTER (WHERE best) AS smallest FROM tagrec_trials WHERE job = :job;
SELECT v.task, v.algorithm = t.settings ->> 'algorithm' AS chosen FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;

-- too few pairs to choose by: no trial, on all pairs
CREATE VIEW few AS SELECT * FROM grouped WHERE user_id <= 5;
SELECT choose('f', '{"candidates": ""}', source => 'few') AS job \gset
SELECT v.algorithm, v.pairs = (SELECT count(*) FROM few) AS on_all, requested_options, (SELECT count(*) FROM tagrec_trials WHERE job = :job) AS trials
	FROM tagrec_versions v WHERE job = :job;
SELECT choose('o', '{"candidates": "ease, popularity"}', source => 'few') AS job \gset
SELECT algorithm FROM tagrec_versions WHERE job = :job;

-- what is refused
\set VERBOSITY terse
SELECT choose('n', '{"candidates": "ease, dae_ptr"}');
SELECT choose('n', '{"candidates": "ease, auto"}');
SELECT choose('n', '{"candidates": "ease, nonesuch"}');
SELECT choose('n', '{"lambda": 3}');
SELECT choose('n', '{"stop_after": 3}');
SELECT choose('n', '{"layers": 8}');
SELECT tagrec_train('n', 'grouped', 'auto', '{"candidates": "tag_bm25"}', tag_column => NULL);
SELECT tagrec_train('n', 'grouped', 'auto_tags', tag_column => NULL);
SELECT choose('n', '{"max_seconds": -1}');
SELECT tagrec_train('n', 'rated', 'auto_ratings', tag_column => NULL);
SELECT tagrec_tune('n', 'grouped', 'auto', '{"epochs": [1, 2]}');
\set VERBOSITY default
SELECT count(tagrec_drop(model)) FROM tagrec_models WHERE schema = 'choosing';
DELETE FROM tagrec_job WHERE job > :last_job;
DROP SCHEMA choosing CASCADE;
