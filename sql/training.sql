-- ---------------------------------------------------------------------------------------------------------------------
-- training: jobs, versions, the views on the registry
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tagrec_train(
	model text,
	source regclass,
	algorithm text DEFAULT NULL, -- hdlpr_ns; without tags, ease
	options jsonb DEFAULT '{}',
	user_column name DEFAULT 'user_id',
	item_column name DEFAULT 'item_id',
	tag_column name DEFAULT 'tag',
	weight_column name DEFAULT NULL,
	device text DEFAULT 'auto',
	wait boolean DEFAULT true,
	deploy text DEFAULT 'always',
	value_column name DEFAULT NULL,
	time_column name DEFAULT NULL,
	user_features regclass DEFAULT NULL,
	item_features regclass DEFAULT NULL
) RETURNS bigint
AS 'MODULE_PATHNAME', 'tagrec_train_2' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_train(text, regclass, text, jsonb, name, name, name, name, text, boolean, text, name, name, regclass,
	regclass) IS
	'trains a new version of a model on a relation of (user, item, tag) or (user, item) rows and deploys it; returns the job';

CREATE OR REPLACE FUNCTION tagrec_tune(
	model text,
	source regclass,
	algorithm text DEFAULT NULL, -- hdlpr_ns; without tags, ease
	space jsonb DEFAULT NULL, -- required; the error shows an example
	trials int DEFAULT 20,
	options jsonb DEFAULT '{}',
	user_column name DEFAULT 'user_id',
	item_column name DEFAULT 'item_id',
	tag_column name DEFAULT 'tag',
	weight_column name DEFAULT NULL,
	device text DEFAULT 'auto',
	metric text DEFAULT NULL,
	seed bigint DEFAULT 1,
	resume boolean DEFAULT true,
	refit boolean DEFAULT true,
	wait boolean DEFAULT true,
	deploy text DEFAULT 'always',
	value_column name DEFAULT NULL,
	time_column name DEFAULT NULL,
	user_features regclass DEFAULT NULL,
	item_features regclass DEFAULT NULL
) RETURNS bigint
AS 'MODULE_PATHNAME', 'tagrec_tune_2' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_tune(text, regclass, text, jsonb, int, jsonb, name, name, name, name, text, text, bigint, boolean,
	boolean, boolean, text, name, name, regclass, regclass) IS
	'searches a space of options for those that rank held-out pairs best, then trains and deploys a version of a model with them; returns the job';

CREATE OR REPLACE FUNCTION tagrec_retrain(
	model text,
	options jsonb DEFAULT '{}',
	device text DEFAULT NULL,
	deploy text DEFAULT 'always',
	wait boolean DEFAULT true
) RETURNS bigint
AS 'MODULE_PATHNAME', 'tagrec_retrain' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_retrain(text, jsonb, text, text, boolean) IS
	'trains a model again with the source and the settings of its deployed version; returns the job';

CREATE OR REPLACE FUNCTION tagrec_refresh(model text, wait boolean DEFAULT true) RETURNS bigint
AS 'MODULE_PATHNAME', 'tagrec_refresh' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_refresh(text, boolean) IS
	'takes the current users and items of the source in, with the weights of the deployed version, without training; returns the job';

CREATE OR REPLACE PROCEDURE tagrec_recommend_into(
	target text,
	model text,
	n bigint DEFAULT 10,
	exclude_seen boolean DEFAULT true,
	device text DEFAULT 'auto',
	wait boolean DEFAULT true,
	INOUT job bigint DEFAULT NULL
)
AS 'MODULE_PATHNAME', 'tagrec_recommend_into' LANGUAGE C;
COMMENT ON PROCEDURE tagrec_recommend_into(text, text, bigint, boolean, text, boolean, bigint) IS
	'writes the top n items of every user to a table, which it makes or whose rows it replaces; returns the job';

CREATE OR REPLACE FUNCTION tagrec_cancel(job bigint) RETURNS boolean
AS 'MODULE_PATHNAME', 'tagrec_cancel' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_cancel(bigint) IS
	'cancels a queued or running job; returns false if it has already ended';

CREATE OR REPLACE PROCEDURE tagrec_wait(job bigint, timeout interval DEFAULT NULL)
AS 'MODULE_PATHNAME', 'tagrec_wait' LANGUAGE C;
COMMENT ON PROCEDURE tagrec_wait(bigint, interval) IS
	'waits until a job is done; raises its error if it fails, or an error after the timeout';

CREATE OR REPLACE FUNCTION tagrec_deploy(model text, version integer) RETURNS void
AS 'MODULE_PATHNAME', 'tagrec_deploy' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_deploy(text, integer) IS
	'makes queries use a version of a model';

CREATE OR REPLACE FUNCTION tagrec_rollback(model text) RETURNS integer
AS 'MODULE_PATHNAME', 'tagrec_rollback' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_rollback(text) IS
	'makes queries use the newest version below the deployed one, and returns it';

CREATE OR REPLACE FUNCTION tagrec_rename(model text, new_name text) RETURNS void
AS 'MODULE_PATHNAME', 'tagrec_rename' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_rename(text, text) IS
	'renames a model and its relations';

CREATE OR REPLACE FUNCTION tagrec_set_schema(model text, schema name) RETURNS void
AS 'MODULE_PATHNAME', 'tagrec_set_schema' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_set_schema(text, name) IS
	'moves the relations of a model to another schema';

CREATE OR REPLACE FUNCTION tagrec_drop(model text) RETURNS void
AS 'MODULE_PATHNAME', 'tagrec_drop' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_drop(text) IS
	'drops a model with its relations and all its versions';

CREATE OR REPLACE FUNCTION tagrec_export(model text, version integer DEFAULT NULL) RETURNS bytea
AS 'MODULE_PATHNAME', 'tagrec_export' LANGUAGE C STABLE PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION tagrec_export(text, integer) IS
	'a version of a model, by default the deployed one, as a value in the format safetensors';

CREATE OR REPLACE FUNCTION tagrec_import(model text, archive bytea, schema name DEFAULT NULL, deploy boolean DEFAULT true)
	RETURNS integer
AS 'MODULE_PATHNAME', 'tagrec_import' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tagrec_import(text, bytea, name, boolean) IS
	'makes a version of a model of what tagrec_export() returned, here or elsewhere, and deploys it; returns the version';

-- The views show a role the models that it owns or may use, the jobs of these models, and the jobs of roles that it is a
-- member of. The database's owner and superusers see everything, members of pg_read_all_stats all jobs. The views are security
-- barriers, so that no function in a query sees a row before these checks.
CREATE OR REPLACE FUNCTION tagrec_sees(model text, schema name, owner name) RETURNS boolean
AS 'MODULE_PATHNAME', 'tagrec_sees' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_sees(text, name, name) IS 'used by the views of models and jobs: whether the current role may see a model';

-- A running job is lost if no worker holds its lock: the halves of its number, and the constant of src/pg/registry/job_row.h.
-- A standby has the primary's rows but not its locks, so there no running job is reported as lost.
CREATE OR REPLACE VIEW tagrec_jobs WITH (security_barrier) AS
SELECT
	j.job,
	j.model,
	j.kind,
	CASE
		WHEN j.state OPERATOR(pg_catalog.=) 'running'::pg_catalog.text AND NOT pg_catalog.pg_is_in_recovery() AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_locks l
			WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'::pg_catalog.text AND l.granted
				AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
					WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
				AND l.classid OPERATOR(pg_catalog.=)
					((j.job OPERATOR(pg_catalog.>>) 32) OPERATOR(pg_catalog.&) 4294967295::pg_catalog.int8)::pg_catalog.oid
				AND l.objid OPERATOR(pg_catalog.=) (j.job OPERATOR(pg_catalog.&) 4294967295::pg_catalog.int8)::pg_catalog.oid
				AND l.objsubid OPERATOR(pg_catalog.=) 29799::pg_catalog.int2)
		THEN 'lost'
		ELSE j.state
	END AS state,
	j.role,
	j.phase,
	j.epoch,
	j.epochs,
	j.loss,
	j.metric_value,
	j.rows_per_second,
	CASE WHEN j.state OPERATOR(pg_catalog.=) 'running'::pg_catalog.text AND j.epoch OPERATOR(pg_catalog.<) j.epochs
			AND j.kind OPERATOR(pg_catalog.<>) 'tune'::pg_catalog.text
			-- whose members' epochs say nothing about each other's
			AND (j.request OPERATOR(pg_catalog.->>) 'algorithm'::pg_catalog.text) OPERATOR(pg_catalog.<>) 'blend'::pg_catalog.text THEN
		pg_catalog.make_interval(secs => (j.epochs OPERATOR(pg_catalog.-) j.epoch)::pg_catalog.float8
			OPERATOR(pg_catalog.*) (SELECT pg_catalog.avg(e.seconds) FROM tagrec_epoch e
				WHERE e.job OPERATOR(pg_catalog.=) j.job))
	END AS time_left,
	j.backend,
	j.peak_memory,
	j.version,
	j.sqlstate,
	CASE WHEN pg_catalog.pg_has_role(r.oid, 'MEMBER') THEN x.message END AS message,
	CASE WHEN pg_catalog.pg_has_role(r.oid, 'MEMBER') THEN x.detail END AS detail,
	CASE WHEN pg_catalog.pg_has_role(r.oid, 'MEMBER') THEN x.hint END AS hint,
	j.request OPERATOR(pg_catalog.->>) 'algorithm'::pg_catalog.text AS algorithm,
	j.request OPERATOR(pg_catalog.->) 'options'::pg_catalog.text AS options,
	j.submitted_at,
	j.started_at,
	-- a worker that reads or writes is inside a transaction, but says what it does
	GREATEST(j.progress_at, CASE WHEN j.state OPERATOR(pg_catalog.=) 'running'::pg_catalog.text THEN
		(SELECT pg_catalog.max(a.state_change) FROM pg_catalog.pg_stat_activity a
			WHERE a.backend_type OPERATOR(pg_catalog.=) 'tagrec worker'::pg_catalog.text
				AND pg_catalog.starts_with(a.application_name, pg_catalog.concat('tagrec job ', j.job, ' ')))
		END) AS progress_at,
	j.finished_at,
	j.unit,
	j.done,
	j.total
FROM tagrec_job j
	LEFT JOIN tagrec_job_error x ON x.job OPERATOR(pg_catalog.=) j.job
	LEFT JOIN pg_catalog.pg_roles r ON r.rolname OPERATOR(pg_catalog.=) j.role
WHERE pg_catalog.pg_has_role(r.oid, 'MEMBER') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
	OR pg_catalog.pg_has_role('pg_database_owner', 'USAGE')
	OR EXISTS (SELECT FROM tagrec_model m
		WHERE m.model OPERATOR(pg_catalog.=) j.model AND tagrec_sees(m.model, m.schema, m.owner));
COMMENT ON VIEW tagrec_jobs IS
	'jobs with their requests, progress and results; state lost = the worker exited without finishing the job';
COMMENT ON COLUMN tagrec_jobs.message IS 'error of a failed job; visible to members of its role';
COMMENT ON COLUMN tagrec_jobs.phase IS 'current phase of a running job; for a tuning, the current trial';
COMMENT ON COLUMN tagrec_jobs.done IS 'how much of the current epoch, closed form or validation is done, in the unit beside it';
COMMENT ON COLUMN tagrec_jobs.time_left IS 'estimated from the mean duration of epochs so far; early stopping may shorten it; NULL for a tuning and for a blend';
COMMENT ON COLUMN tagrec_jobs.peak_memory IS 'maximum memory that the worker allocated for data and training, in bytes';

CREATE OR REPLACE VIEW tagrec_epochs WITH (security_barrier) AS
SELECT j.model, j.version, e.job, CASE WHEN e.trial OPERATOR(pg_catalog.<>) 0 THEN e.trial END AS trial, e.epoch, e.loss,
	e.metric_value, e.seconds, e.rows_per_second, e.finished_at
FROM tagrec_epoch e JOIN tagrec_jobs j ON j.job OPERATOR(pg_catalog.=) e.job;
COMMENT ON VIEW tagrec_epochs IS
	'training curves: loss, validation metric and speed of every epoch';

CREATE OR REPLACE VIEW tagrec_trials WITH (security_barrier) AS
SELECT
	j.model,
	t.job,
	t.trial,
	t.state,
	t.settings,
	t.metric,
	t.value,
	t.state OPERATOR(pg_catalog.=) 'done'::pg_catalog.text AND t.trial OPERATOR(pg_catalog.=)
		pg_catalog.first_value(t.trial) OVER (PARTITION BY t.job ORDER BY CASE WHEN t.metric OPERATOR(pg_catalog.=)
		ANY ('{rmse,mae}'::pg_catalog.text[]) THEN OPERATOR(pg_catalog.-) t.value ELSE t.value END DESC NULLS LAST, t.trial) AS best,
	t.epochs,
	t.best_epoch,
	t.seconds,
	t.sqlstate,
	t.error,
	t.done_by,
	t.device,
	t.library,
	t.options,
	t.finished_at,
	t.stderr,
	t.new_users,
	t.new_items
FROM tagrec_trial t JOIN tagrec_jobs j ON j.job OPERATOR(pg_catalog.=) t.job;
COMMENT ON VIEW tagrec_trials IS
	'trials of tunings, with their options and how well they ranked the held-out pairs';
COMMENT ON COLUMN tagrec_trials.settings IS 'options that the trial set from the space; trial 1 sets none';
COMMENT ON COLUMN tagrec_trials.best IS 'whether this is the best trial of its job so far; the final model is trained with its options';
COMMENT ON COLUMN tagrec_trials.stderr IS 'standard error of value: as users, or posts, were sampled';
COMMENT ON COLUMN tagrec_trials.new_users IS 'of value, that of held-out pairs whose user has no others; set by auto only';
COMMENT ON COLUMN tagrec_trials.new_items IS 'the same of held-out pairs whose item has no others';
COMMENT ON COLUMN tagrec_trials.done_by IS 'job that ran the trial: an earlier one if its result was reused';
COMMENT ON COLUMN tagrec_trials.device IS 'device that the trial ran on: cpu or cuda';
COMMENT ON COLUMN tagrec_trials.library IS 'version of tagrec that ran the trial';

CREATE OR REPLACE VIEW tagrec_versions WITH (security_barrier) AS
SELECT
	m.model,
	v.version,
	v.version OPERATOR(pg_catalog.=) m.deployed_version AS deployed,
	v.refreshed_from,
	v.algorithm,
	v.task,
	v.source,
	v.user_column,
	v.item_column,
	v.tag_column,
	v.weight_column,
	v.user_type,
	v.item_type,
	v.users,
	v.items,
	v.tags,
	v.assignments,
	v.pairs,
	v.width,
	v.unit_width,
	v.epochs,
	v.best_epoch,
	v.loss,
	v.metric,
	v.metric_value,
	v.seconds,
	v.backend,
	v.requested_options,
	v.options,
	v.job,
	v.created_at,
	v.device,
	v.value_column,
	v.value_least,
	v.value_most,
	v.time_column,
	v.user_features,
	v.item_features
FROM tagrec_version v JOIN tagrec_model m ON m.model_id OPERATOR(pg_catalog.=) v.model_id
WHERE tagrec_sees(m.model, m.schema, m.owner);
COMMENT ON VIEW tagrec_versions IS
	'versions of models, with their sources, options and results';

CREATE OR REPLACE VIEW tagrec_models WITH (security_barrier) AS
SELECT
	m.model,
	m.schema,
	pg_catalog.pg_get_userbyid(c.relowner) AS owner,
	m.deployed_version,
	(SELECT pg_catalog.count(*) FROM tagrec_version o
		WHERE o.model_id OPERATOR(pg_catalog.=) m.model_id) AS versions,
	v.algorithm,
	v.task,
	v.source,
	v.users,
	v.items,
	v.tags,
	v.metric,
	v.metric_value,
	v.created_at AS trained_at,
	m.created_at
FROM tagrec_model m
	LEFT JOIN tagrec_version v ON v.model_id OPERATOR(pg_catalog.=) m.model_id
		AND v.version OPERATOR(pg_catalog.=) m.deployed_version
	LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.schema
	LEFT JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
		AND c.relname OPERATOR(pg_catalog.=) (m.model OPERATOR(pg_catalog.||) '_item_embedding'::pg_catalog.text)
WHERE tagrec_sees(m.model, m.schema, m.owner);
COMMENT ON VIEW tagrec_models IS
	'models with their deployed versions; owner is NULL if the relations of the model were dropped';

CREATE OR REPLACE VIEW tagrec_history WITH (security_barrier) AS
SELECT
	m.model,
	r.version,
	v.version IS NOT NULL AS kept,
	v.version OPERATOR(pg_catalog.=) m.deployed_version AND v.version IS NOT NULL AS deployed,
	r.created_at,
	r.deployed_at,
	r.algorithm,
	r.refreshed_from,
	r.requested_options,
	r.source,
	r.users,
	r.items,
	r.tags,
	r.assignments,
	r.pairs,
	r.epochs,
	r.best_epoch,
	coalesce(r.metric, t.metric) AS metric,
	coalesce(r.metric_value, t.value) AS metric_value,
	r.compared_with,
	r.compared_metric,
	r.compared_value,
	r.compared_with_value,
	r.bytes,
	r.seconds,
	r.job
FROM tagrec_result r JOIN tagrec_model m ON m.model_id OPERATOR(pg_catalog.=) r.model_id
	LEFT JOIN tagrec_version v ON v.model_id OPERATOR(pg_catalog.=) r.model_id AND v.version OPERATOR(pg_catalog.=) r.version
	LEFT JOIN LATERAL (SELECT x.metric, x.value FROM tagrec_trial x
		WHERE x.job OPERATOR(pg_catalog.=) r.job AND r.refreshed_from IS NULL AND r.metric_value IS NULL
			AND x.state OPERATOR(pg_catalog.=) 'done'::pg_catalog.text
		ORDER BY CASE WHEN x.metric OPERATOR(pg_catalog.=) ANY ('{rmse,mae}'::pg_catalog.text[]) THEN OPERATOR(pg_catalog.-) x.value
			ELSE x.value END DESC, x.trial LIMIT 1) t ON true
WHERE tagrec_sees(m.model, m.schema, m.owner);
COMMENT ON VIEW tagrec_history IS
	'all versions that models ever had: data, quality, size and time, also of those that are not kept';
COMMENT ON COLUMN tagrec_history.metric_value IS 'on held-out pairs; of a version that a tuning has trained on all pairs, what its best trial had';
COMMENT ON COLUMN tagrec_history.deployed_at IS 'when it was deployed last; NULL = never';
COMMENT ON COLUMN tagrec_history.compared_with IS 'version that was deployed when this one was trained with deploy => if_better';
COMMENT ON COLUMN tagrec_history.compared_value IS 'metric of this version, on pairs that neither was trained on';
COMMENT ON COLUMN tagrec_history.compared_with_value IS 'metric of the other version, on the same pairs';
COMMENT ON COLUMN tagrec_history.bytes IS 'size of the relations of the version when it was written';

GRANT SELECT ON tagrec_jobs, tagrec_epochs, tagrec_trials, tagrec_versions, tagrec_models, tagrec_history TO PUBLIC;
