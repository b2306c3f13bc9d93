--
-- tagrec_tune: what it refuses, what it tries and deploys, going on, who may
--
CREATE SCHEMA tuning;
SET search_path = tuning, public;
\set SHOW_CONTEXT never
SET tagrec.progress_interval = '1h';
\getenv srcdir PG_ABS_SRCDIR
\set posts :srcdir /fixture/posts.sql
\i :posts
SELECT max(job) AS last_job FROM (SELECT job FROM tagrec_jobs UNION ALL SELECT 0) j \gset

-- the space: what is wrong with it, and what would be right
SELECT tagrec_tune('m', 'posts');
SELECT tagrec_tune('m', 'posts', space => '{}');
SELECT tagrec_tune('m', 'posts', space => '[1]');
SELECT tagrec_tune('m', 'posts', space => '{"keep": 0.5}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": []}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": 0.3}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"max": 0.3}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": 0.3, "max": 0.4, "step": 0.1}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": 0.5, "max": 0.4}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": "0.3", "max": 0.4}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": 0.3, "max": 0.4, "scale": "cubic"}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": {"min": 0.3, "max": 1.4}}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3, 1.4]}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3, null]}');
SELECT tagrec_tune('m', 'posts', space => '{"user_dropout": {"min": 0, "max": 0.4, "scale": "log"}}');
SELECT tagrec_tune('m', 'posts', space => '{"batch": {"min": 1.5, "max": 20}}');
SELECT tagrec_tune('m', 'posts', space => '{"layers": {"min": 8, "max": 16}}');
SELECT tagrec_tune('m', 'posts', space => '{"layers": [[8], "16,x"]}');
SELECT tagrec_tune('m', 'posts', space => '{"optimizer": {"min": 1, "max": 2}}');
SELECT tagrec_tune('m', 'posts', space => '{"seed": [1, 2]}');
SELECT tagrec_tune('m', 'posts', space => '{"validation_source": ["held_out"]}');
-- an option that the algorithm does not have: the error lists those that it has
\set VERBOSITY terse
SELECT tagrec_tune('m', 'posts', 'popularity', '{"learning_rate": [0.1]}');
SELECT tagrec_tune('m', 'posts', space => '{"preset": ["best"]}');
\set VERBOSITY default

-- each option once, also one that both the algorithm and the training loop read
DO $$
DECLARE
	detail text;
BEGIN
	PERFORM tagrec_train('m', 'posts', 'blend', '{"nonesuch": 1}');
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RAISE NOTICE 'epochs: % times', (SELECT count(*) FROM regexp_split_to_table(detail, '[ ,.]+') o WHERE o = 'epochs');
END $$;

-- the other arguments
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', trials => 0);
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', trials => 1001);
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', trials => NULL);
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', seed => NULL);
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', options => '{"validation": 0}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', options => '{"stop_after": 3}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', options => '{"validation_source": "nowhere"}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', options => '[]');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', metric => 'accuracy');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', metric => 'mrr@5');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', metric => 'ndcg@');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', metric => 'ndcg@0');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', metric => 'ndcg@5', options => '{"metric": "mrr"}');
SELECT tagrec_tune('m', 'posts', space => '{"keep": [0.3]}', user_column => 'who');
-- nothing of that has started a job
SELECT count(*) FROM tagrec_jobs WHERE job > :last_job;

-- a search: the first trial is the options themselves, ranges and choices are kept to, the best is deployed
SET client_min_messages = warning;
CREATE FUNCTION tune(resume boolean DEFAULT true, trials int DEFAULT 6, seed bigint DEFAULT 1, refit boolean DEFAULT true,
	source regclass DEFAULT 'posts') RETURNS bigint
LANGUAGE sql AS $$
	SELECT tagrec_tune('m', source, 'dspr', '{"learning_rate": {"min": 0.001, "max": 0.1, "scale": "log"}, "layers": [[4], "8,4"],
		"batch": {"min": 8, "max": 64}, "keep": {"min": 0.3, "max": 0.8}, "popularity": [true, false], "norm": ["l2", "max"]}',
		trials, '{"epochs": 3, "validation": 0.2, "threads": 1}', metric => 'ndcg@5', seed => seed, resume => resume, refit => refit)
$$;
SELECT tune() AS job \gset
SELECT state, kind, phase, message FROM tagrec_jobs WHERE job = :job;
SELECT trial, state, metric, value BETWEEN 0 AND 1 AS value, epochs BETWEEN 1 AND 3 AS epochs, best_epoch BETWEEN 1 AND 3 AS best_epoch,
	done_by = job AS own, error FROM tagrec_trials WHERE job = :job ORDER BY trial;
SELECT settings FROM tagrec_trials WHERE job = :job AND trial = 1;
SELECT count(*) FILTER (WHERE (settings ->> 'learning_rate')::float8 BETWEEN 0.001 AND 0.1 AND (settings ->> 'keep')::float8 BETWEEN 0.3 AND 0.8
		AND (settings ->> 'batch')::int BETWEEN 8 AND 64 AND settings ->> 'layers' IN ('[4]', '8,4') AND settings ->> 'norm' IN ('l2', 'max')
		AND jsonb_typeof(settings -> 'popularity') = 'boolean') AS fitting,
	count(DISTINCT settings) AS different, bool_and(options ->> 'epochs' = '3' AND options ->> 'metric_k' = '5') AS fixed
	FROM tagrec_trials WHERE job = :job AND trial > 1;
-- their options are what the settings say
SELECT bool_and((options -> 'batch') = (settings -> 'batch') AND (options ->> 'keep')::float8 = (settings ->> 'keep')::float8) AS same
	FROM tagrec_trials WHERE job = :job AND trial > 1;
SELECT count(*) AS best, bool_and(value = (SELECT max(value) FROM tagrec_trials WHERE job = :job)) AS highest FROM tagrec_trials WHERE job = :job AND best;
-- every trial has its training curve, and so has the model
SELECT count(DISTINCT trial) AS trials, count(*) FILTER (WHERE trial IS NULL) > 0 AS model FROM tagrec_epochs WHERE job = :job;
-- the version: the best trial's options, on all pairs, for as many epochs as were best
SELECT v.version, v.deployed, v.metric, v.epochs = t.best_epoch AS epochs, v.options -> 'stop_after' = to_jsonb(t.best_epoch) AS stop_after,
	v.options -> 'validation' AS validation, v.options - '{validation,stop_after}'::text[] = t.options - '{validation,stop_after}'::text[] AS same
	FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;
-- which tagrec_train() gives as well
SELECT tagrec_train('again', 'posts', 'dspr', (SELECT requested_options FROM tagrec_versions WHERE job = :job)) > 0 AS trained;
SELECT count(*) AS users, bool_and(a.embedding = b.embedding) AS same FROM m_user_embedding a JOIN again_user_embedding b USING (user_id);

-- again: everything has been done, and the model is the same
SELECT tune() AS job2 \gset
SELECT count(*), bool_and(done_by = :job) AS taken_over FROM tagrec_trials WHERE job = :job2;
SELECT (SELECT array_agg((trial, value) ORDER BY trial) FROM tagrec_trials WHERE job = :job)
	= (SELECT array_agg((trial, value) ORDER BY trial) FROM tagrec_trials WHERE job = :job2) AS same;
-- unless it is not to go on; the same seed then finds the same
SELECT tune(resume => false) AS job3 \gset
SELECT count(*), bool_and(done_by = job) AS own FROM tagrec_trials WHERE job = :job3;
SELECT (SELECT array_agg((trial, settings, value) ORDER BY trial) FROM tagrec_trials WHERE job = :job)
	= (SELECT array_agg((trial, settings, value) ORDER BY trial) FROM tagrec_trials WHERE job = :job3) AS same;
-- more trials go on behind those that were done
SELECT tune(trials => 8) AS job4 \gset
SELECT array_agg(trial ORDER BY trial) FILTER (WHERE done_by = job) AS own, count(*) FROM tagrec_trials WHERE job = :job4;
-- another seed searches elsewhere; what it tries again (the options themselves) is taken over
SELECT tune(seed => 2, trials => 4) AS job5 \gset
SELECT array_agg(trial ORDER BY trial) FILTER (WHERE done_by = job) AS own, count(*) FROM tagrec_trials WHERE job = :job5;
-- other data: no figure can be taken over
CREATE VIEW others AS SELECT * FROM posts WHERE user_id > 1;
SELECT tune(trials => 2, source => 'others') AS job6 \gset
SELECT count(*), bool_and(done_by = job) AS own FROM tagrec_trials WHERE job = :job6;
-- without a refit, the version is the trial again
SELECT tune(refit => false) AS job7 \gset
SELECT v.metric, v.metric_value = t.value AS same, v.epochs = t.best_epoch AS epochs, v.options ->> 'validation' AS validation
	FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job7;

-- pairs of another relation: there is nothing to refit
SELECT tagrec_tune('n', 'train', 'dspr', '{"layers": [[4], [8]]}', 3, '{"validation_source": "held_out", "epochs": 2}', metric => 'mrr') AS job \gset
SELECT v.metric, v.metric_value = t.value AS same, v.options ->> 'validation_source' AS source, t.options ->> 'validation_source' AS trials
	FROM tagrec_versions v JOIN tagrec_trials t ON t.job = v.job AND t.best WHERE v.job = :job;

-- tags for posts; and an algorithm that has no epochs and scores by neighbours
CREATE TABLE tagged AS SELECT user_id, item_id, 't' || (user_id + item_id * t) % 9 AS tag FROM posts, generate_series(1, 3) t;
SELECT tagrec_tune('tags', 'tagged', 'dae_ptr', '{"learning_rate": {"min": 0.001, "max": 0.01, "scale": "log"}}', 3,
	'{"validation": 0.2, "epochs": 2}', metric => 'hit@3') AS job \gset
SELECT count(*) AS trials, count(DISTINCT metric) AS metrics, bool_and(state = 'done' AND value BETWEEN 0 AND 1) AS done FROM tagrec_trials WHERE job = :job;
SELECT task, deployed FROM tagrec_versions WHERE job = :job;
SELECT tagrec_tune('near', 'posts', 'ease', '{"neighbours": {"min": 2, "max": 20}, "lambda": {"min": 1, "max": 1000, "scale": "log"}}', 3, '{"validation": 0.2}') AS job \gset
SELECT count(*) AS trials, bool_and(state = 'done' AND best_epoch = 1) AS done FROM tagrec_trials WHERE job = :job;
SELECT epochs, options -> 'neighbours' = (SELECT options -> 'neighbours' FROM tagrec_trials WHERE job = :job AND best) AS same FROM tagrec_versions WHERE job = :job;

-- a small space ends early; without a word about it, some pairs are held out; notices
SELECT tagrec_tune('p', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2}') AS job \gset
SELECT trial, settings FROM tagrec_trials WHERE job = :job ORDER BY trial;
-- an option may be in both: the first trial starts from there
SELECT tagrec_tune('p', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2, "epochs": 2}') AS job \gset
SELECT trial, settings, options ->> 'epochs' AS epochs FROM tagrec_trials WHERE job = :job ORDER BY trial;
-- of trials that are equally good the first is the best one, though others were done before
SELECT tagrec_tune('p', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2, "epochs": 3}') AS job \gset
SELECT trial, settings, done_by = job AS own, best, v.options ->> 'epochs' AS deployed FROM tagrec_trials t JOIN tagrec_versions v USING (job)
	WHERE job = :job ORDER BY trial;
RESET client_min_messages;
BEGIN;
SELECT tagrec_tune('p', 'posts', 'popularity', '{"epochs": [1, 2]}', wait => false) AS job \gset
SELECT kind, state, options FROM tagrec_jobs WHERE job = :job;
ROLLBACK;
-- what this transaction has written, the worker would not see
BEGIN;
CREATE TABLE written ();
SELECT tagrec_tune('p', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2}');
ROLLBACK;
-- settings that do not go together are not tried
BEGIN;
SELECT tagrec_tune('q', 'posts', 'hdlpr', '{"regularization": [0.9], "reconstruction": [0.2, 0.8]}', wait => false) > 0 AS submitted;
ROLLBACK;
SET client_min_messages = warning;
SELECT tagrec_tune('q', 'posts', 'hdlpr', '{"regularization": [0.1, 0.9], "reconstruction": [0.1, 0.8]}', 4,
	'{"layers": [4], "epochs": 1, "validation": 0.2}') AS job \gset
SELECT count(*), bool_or((settings ->> 'regularization')::float8 + (settings ->> 'reconstruction')::float8 >= 1) AS invalid
	FROM tagrec_trials WHERE job = :job;

-- a trial that fails is recorded, and the search goes on
SELECT tagrec_tune('r', 'posts', 'hdlpr_ns', '{"learning_rate": [10], "regularization": [0.9]}', 2,
	'{"layers": [8], "optimizer": "sgd", "loss": "sum", "epochs": 1000, "patience": 0, "threads": 1, "validation": 0.2,
	"validation_every": 1000, "metric_k": 5, "learning_rate_decay": "none"}') AS job \gset
SELECT trial, state, value IS NULL AS no_value, sqlstate, error ~ '^loss is not finite in epoch \d+$' AS error, best FROM tagrec_trials WHERE job = :job ORDER BY trial;
-- all fail
SET tagrec.max_memory = '1MB';
\set VERBOSITY sqlstate
SELECT tagrec_tune('s', 'posts', 'hdlpr_ns', '{"keep": [0.3, 0.4]}', 3, '{"validation": 0.2, "layers": 2000}');
\set VERBOSITY default
RESET tagrec.max_memory;
SELECT state, sqlstate, message ~ '^all 3 trials failed; the first: training needs about' AS message FROM tagrec_jobs WHERE model = 's';
SELECT count(*), bool_and(state = 'failed' AND NOT best) AS failed FROM tagrec_trials WHERE model = 's';
SELECT count(*) FROM tagrec_models WHERE model = 's';

-- who may: SELECT on the source, as the calling role, and only the model's owner
CREATE ROLE regress_tagrec_tuner LOGIN;
GRANT USAGE, CREATE ON SCHEMA tuning TO regress_tagrec_tuner;
SET ROLE regress_tagrec_tuner;
RESET client_min_messages;
SELECT tagrec_tune('t', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2}');
RESET ROLE;
GRANT SELECT ON posts TO regress_tagrec_tuner;
SET ROLE regress_tagrec_tuner;
SELECT tagrec_tune('t', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation_source": "held_out"}');
SELECT tagrec_tune('m', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2}');
SET client_min_messages = warning;
SELECT tagrec_tune('t', 'posts', 'popularity', '{"epochs": [1, 2]}', options => '{"validation": 0.2}') > 0 AS tuned;
SELECT owner FROM tagrec_models WHERE model = 't';
-- a role sees what was tried for itself, and changes nothing of it
SELECT string_agg(DISTINCT model, ' ') AS seen FROM tagrec_trials;
DELETE FROM tagrec_trial;
RESET ROLE;
-- a job's trials go with it
SELECT job FROM tagrec_jobs WHERE model = 't' AND state = 'done' \gset
DELETE FROM tagrec_job WHERE model = 't';
SELECT count(*) FROM tagrec_trials WHERE job = :job;

SELECT count(tagrec_drop(model)) FROM tagrec_models WHERE schema = 'tuning';
DELETE FROM tagrec_job WHERE job > :last_job;
DROP OWNED BY regress_tagrec_tuner;
DROP ROLE regress_tagrec_tuner;
DROP SCHEMA tuning CASCADE;
