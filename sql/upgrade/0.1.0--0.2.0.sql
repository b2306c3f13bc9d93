-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION tagrec UPDATE TO '0.2.0'" to load this file. \quit

-- What CREATE OR REPLACE in the sections after this file cannot change: the registry's tables, and functions whose arguments or
-- results are others now.

DROP FUNCTION tagrec_recommend(text, text, int, boolean, text[]), tagrec_recommend(text, "any", int, boolean, text[]),
	tagrec_recommend_as(anyelement, text, text, int, boolean, text[]),
	tagrec_recommend_as(anyelement, text, "any", int, boolean, text[]),
	tagrec_recommend_all(text, int, boolean),
	tagrec_recommend_for_tags(text, text[], real[], int, text[]),
	tagrec_recommend_tags(text, text, text, int, text[], boolean), tagrec_recommend_tags(text, text, "any", int, text[], boolean),
	tagrec_recommend_tags(text, "any", text, int, text[], boolean), tagrec_recommend_tags(text, "any", "any", int, text[], boolean),
	tagrec_embed(text, text[], real[]),
	tagrec_similar_items(text, text, int), tagrec_similar_items(text, "any", int),
	tagrec_similar_users(text, text, int), tagrec_similar_users(text, "any", int),
	tagrec_score(text, text, text), tagrec_score(text, text, "any"), tagrec_score(text, "any", text), tagrec_score(text, "any", "any"),
	tagrec_explain(text, text, text, int), tagrec_explain(text, text, "any", int),
	tagrec_explain(text, "any", text, int), tagrec_explain(text, "any", "any", int),
	tagrec_feature_tags(text, int, int);

-- Ids of users or items in an argument: any array, or the word all. Ids of types that users make are kept as text.
CREATE TYPE tagrec_ids;
CREATE FUNCTION tagrec_ids_in(cstring) RETURNS tagrec_ids
AS 'MODULE_PATHNAME', 'tagrec_ids_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tagrec_ids_in(cstring) IS 'used by the type tagrec_ids: reads it from text';
CREATE FUNCTION tagrec_ids_out(tagrec_ids) RETURNS cstring
AS 'MODULE_PATHNAME', 'tagrec_ids_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tagrec_ids_out(tagrec_ids) IS 'used by the type tagrec_ids: writes it as text';
-- as arrays of 8 byte numbers are aligned
CREATE TYPE tagrec_ids (INPUT = tagrec_ids_in, OUTPUT = tagrec_ids_out, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE tagrec_ids IS 'ids of any type: an array, or the word all';
CREATE FUNCTION tagrec_ids(ids anyarray) RETURNS tagrec_ids
AS 'MODULE_PATHNAME', 'tagrec_ids' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tagrec_ids(anyarray) IS 'an array of any type as ids; arrays of the usual types need no such call';
CREATE CAST (smallint[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (int[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (bigint[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (numeric[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (text[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (varchar[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (character[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (name[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (uuid[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (oid[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (date[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (timestamp[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (timestamptz[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (bytea[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;
CREATE CAST (inet[] AS tagrec_ids) WITH FUNCTION tagrec_ids(anyarray) AS IMPLICIT;

ALTER TABLE tagrec_job
	ADD COLUMN unit text,
	ADD COLUMN done bigint,
	ADD COLUMN total bigint;

ALTER TABLE tagrec_trial
	ADD COLUMN stderr float8,
	ADD COLUMN new_users float8,
	ADD COLUMN new_items float8;

ALTER TABLE tagrec_version
	ALTER COLUMN tag_column DROP NOT NULL,
	DROP CONSTRAINT tagrec_version_task_check,
	ADD CONSTRAINT tagrec_version_task_check
		CHECK (task OPERATOR(pg_catalog.=) ANY ('{item,tag,rating}'::pg_catalog.text[])),
	ADD COLUMN device text,
	ADD COLUMN value_column name,
	ADD COLUMN value_least real,
	ADD COLUMN value_most real,
	ADD COLUMN time_column name,
	ADD COLUMN user_features text,
	ADD COLUMN item_features text;

ALTER TABLE tagrec_job
	DROP CONSTRAINT tagrec_job_kind_check,
	ADD CONSTRAINT tagrec_job_kind_check
		CHECK (kind OPERATOR(pg_catalog.=) ANY ('{train,tune,refresh,recommend}'::pg_catalog.text[]));

-- What came of every training, also of versions that are not kept
CREATE TABLE tagrec_result (
	model_id int NOT NULL REFERENCES tagrec_model ON DELETE CASCADE,
	version int NOT NULL CHECK (version BETWEEN 1 AND 2147483646),
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

DROP FUNCTION tagrec_evaluate(text, regclass, int[], boolean, name, name, int, name, text[]);
DROP FUNCTION tagrec_compare(text[], regclass, int[], text, int, bigint, boolean, name, name, name, text[]);
DROP FUNCTION tagrec_train(text, regclass, text, jsonb, name, name, name, name, text, boolean);
DROP FUNCTION tagrec_tune(text, regclass, text, jsonb, int, jsonb, name, name, name, name, text, text, bigint, boolean,
	boolean, boolean);
