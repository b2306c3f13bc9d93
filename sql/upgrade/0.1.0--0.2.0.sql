-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION tagrec UPDATE TO '0.2.0'" to load this file. \quit

-- What CREATE OR REPLACE in the sections after this file cannot change: the registry's tables, and functions whose arguments or
-- results are others now.

DROP VIEW tagrec_algorithms, tagrec_options, tagrec_mapped, tagrec_searches, tagrec_models, tagrec_versions, tagrec_trials,
	tagrec_epochs, tagrec_jobs;

ALTER TABLE tagrec_version
	DROP CONSTRAINT tagrec_version_task_check,
	ADD CONSTRAINT tagrec_version_task_check CHECK (task OPERATOR(pg_catalog.=) ANY ('{item,tag,rating}'::pg_catalog.text[]));
ALTER TABLE tagrec_version ADD COLUMN device text;

-- What came of every training, also of versions that are not kept
CREATE TABLE tagrec_result (
	model_id int NOT NULL REFERENCES tagrec_model ON DELETE CASCADE,
	version int NOT NULL CHECK (version OPERATOR(pg_catalog.>) 0),
	refreshed_from int,
	job bigint,
	algorithm text NOT NULL,
	source text NOT NULL,
	requested_options jsonb NOT NULL,
	users int NOT NULL,
	items int NOT NULL,
	tags int NOT NULL,
	assignments bigint NOT NULL,
	pairs bigint NOT NULL,
	epochs int NOT NULL,
	best_epoch int NOT NULL,
	metric text,
	metric_value float8,
	seconds float8 NOT NULL,
	-- of the version's relations; NULL = before 0.2.0
	bytes bigint,
	created_at timestamptz NOT NULL,
	-- when it was deployed last; NULL = never
	deployed_at timestamptz,
	-- the version deployed then, and what the metric was for both on pairs that neither was trained on
	compared_with int,
	compared_metric text,
	compared_value float8,
	compared_with_value float8,
	PRIMARY KEY (model_id, version)
);
COMMENT ON TABLE tagrec_result IS 'tagrec: one row per version that was ever trained; see the view tagrec_history';

INSERT INTO tagrec_result (model_id, version, refreshed_from, job, algorithm, source, requested_options, users, items, tags,
	assignments, pairs, epochs, best_epoch, metric, metric_value, seconds, created_at)
SELECT model_id, version, refreshed_from, job, algorithm, source, requested_options, users, items, tags, assignments, pairs,
	epochs, best_epoch, metric, metric_value, seconds, created_at
FROM tagrec_version;
SELECT pg_catalog.pg_extension_config_dump('tagrec_result', '');
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_result FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
ALTER TABLE tagrec_result ENABLE ALWAYS TRIGGER tagrec_guard;
GRANT SELECT, INSERT ON tagrec_result TO pg_database_owner;

DROP FUNCTION tagrec_train(text, regclass, text, jsonb, name, name, name, name, text, boolean);
DROP FUNCTION tagrec_tune(text, regclass, text, jsonb, int, jsonb, name, name, name, name, text, text, bigint, boolean,
	boolean, boolean);
