-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION tagrec UPDATE TO '0.2.0'" to load this file. \quit

-- What CREATE OR REPLACE in the sections after this file cannot change: the registry's tables, functions whose arguments or
-- results are others now, and views.

DROP VIEW tagrec_algorithms, tagrec_options, tagrec_mapped, tagrec_searches, tagrec_models, tagrec_versions, tagrec_trials,
	tagrec_epochs, tagrec_jobs;

ALTER TABLE tagrec_version
	ALTER COLUMN tag_column DROP NOT NULL,
	DROP CONSTRAINT tagrec_version_task_check,
	ADD CONSTRAINT tagrec_version_task_check
		CHECK (task OPERATOR(pg_catalog.=) ANY ('{item,tag,rating}'::pg_catalog.text[])),
	ADD COLUMN value_column name,
	ADD COLUMN time_column name,
	ADD COLUMN user_features text,
	ADD COLUMN item_features text;

DROP FUNCTION tagrec_algorithm_rows();
DROP FUNCTION tagrec_train(text, regclass, text, jsonb, name, name, name, name, text, boolean);
DROP FUNCTION tagrec_tune(text, regclass, text, jsonb, int, jsonb, name, name, name, name, text, text, bigint, boolean,
	boolean, boolean);
