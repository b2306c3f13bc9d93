-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION tagrec" to load this file. \quit

-- ---------------------------------------------------------------------------------------------------------------------
-- registry: read and written by the C code, as the owner of the tables, and by dump and restore, as the database's owner.
-- Other roles see only what the views in training.sql show.
--
-- Operators are schema-qualified: if the extension's schema belongs to another role, a better matching operator there would
-- be used instead of the system's. The limits hold for restored rows, too, because queries allocate memory by them.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE tagrec_model (
	model_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (model_id OPERATOR(pg_catalog.>) 0),
	model text NOT NULL UNIQUE CHECK (pg_catalog.octet_length(model) BETWEEN 1 AND 44),
	-- schema of the model's relations; they are found by name, <model>_user_embedding and so on
	schema name NOT NULL CHECK (NOT pg_catalog.starts_with(schema::pg_catalog.text, 'pg_')
		AND schema OPERATOR(pg_catalog.<>) ALL ('{information_schema,""}'::pg_catalog.name[])),
	-- owner of the relations when a version was last deployed; owns the row if they are gone or were replaced. A name, so that
	-- it can be restored where the role does not exist
	owner name NOT NULL DEFAULT CURRENT_USER,
	-- version that queries use; NULL while the first one is being written
	deployed_version int CHECK (deployed_version OPERATOR(pg_catalog.>) 0),
	-- the one before, for queries that were planned before the newest partition was attached
	previous_version int CHECK (previous_version OPERATOR(pg_catalog.>) 0),
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tagrec_model IS 'tagrec: one row per model; see the view tagrec_models';

CREATE TABLE tagrec_version (
	model_id int NOT NULL REFERENCES tagrec_model ON DELETE CASCADE,
	-- below the maximum, because the next version has the next number
	version int NOT NULL CHECK (version BETWEEN 1 AND 2147483646),
	-- for a refresh: the version that the weights are from
	refreshed_from int CHECK (refreshed_from OPERATOR(pg_catalog.>) 0),
	job bigint,
	algorithm text NOT NULL,
	task text NOT NULL CHECK (task OPERATOR(pg_catalog.=) ANY ('{item,tag,rating}'::pg_catalog.text[])),
	-- every option's value, so that the version can be read and repeated even if defaults change
	options jsonb NOT NULL,
	-- options specified by the user
	requested_options jsonb NOT NULL,
	source text NOT NULL,
	user_column name NOT NULL,
	item_column name NOT NULL,
	-- NULL = trained without tags
	tag_column name,
	weight_column name,
	user_type text NOT NULL,
	item_type text NOT NULL,
	-- length of the stored arrays; the first unit_width elements are a unit vector
	width int NOT NULL CHECK (width BETWEEN 0 AND 1000000),
	unit_width int NOT NULL CHECK (unit_width BETWEEN 0 AND width),
	-- kinds of features in a user's sparse vector, as a bit mask: 1 items, 2 tags, 4 users; 0 = no sparse vectors
	features int NOT NULL CHECK (features BETWEEN 0 AND 7),
	users int NOT NULL CHECK (users BETWEEN 0 AND 2000000000),
	items int NOT NULL CHECK (items BETWEEN 0 AND 2000000000),
	tags int NOT NULL CHECK (tags BETWEEN 0 AND 2000000000),
	assignments bigint NOT NULL CHECK (assignments OPERATOR(pg_catalog.>=) 0::pg_catalog.int8),
	pairs bigint NOT NULL CHECK (pairs OPERATOR(pg_catalog.>=) 0::pg_catalog.int8),
	epochs int NOT NULL CHECK (epochs OPERATOR(pg_catalog.>=) 0),
	best_epoch int NOT NULL CHECK (best_epoch BETWEEN 0 AND epochs),
	loss float8,
	metric text,
	metric_value float8,
	seconds float8 NOT NULL,
	backend text NOT NULL,
	-- layout of the stored weights; the library rejects newer ones
	format int NOT NULL CHECK (format OPERATOR(pg_catalog.>) 0),
	created_at timestamptz NOT NULL DEFAULT now(),
	-- as it was asked for; NULL = before 0.2.0
	device text,
	value_column name,
	-- range of the values that predictions are clipped to; NULL = the model predicts none
	value_least real,
	value_most real,
	time_column name,
	-- relations of attributes
	user_features text,
	item_features text,
	PRIMARY KEY (model_id, version)
);
COMMENT ON TABLE tagrec_version IS 'tagrec: one row per finished training; see the view tagrec_versions';

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

CREATE TABLE tagrec_job (
	job bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY CHECK (job OPERATOR(pg_catalog.>) 0::pg_catalog.int8),
	model text NOT NULL,
	-- 'train', 'tune', 'refresh' or 'recommend'
	kind text NOT NULL DEFAULT 'train' CHECK (kind OPERATOR(pg_catalog.=) ANY ('{train,tune,refresh,recommend}'::pg_catalog.text[])),
	-- queued, running, done, failed, cancelled; the view adds lost
	state text NOT NULL DEFAULT 'queued' 
		CHECK (state OPERATOR(pg_catalog.=) ANY ('{queued,running,done,failed,cancelled}'::pg_catalog.text[])),
	role name NOT NULL,
	-- everything that the worker needs, see src/pg/registry/request.h
	request jsonb NOT NULL,
	version int CHECK (version OPERATOR(pg_catalog.>) 0),
	phase text,
	epoch int CHECK (epoch OPERATOR(pg_catalog.>=) 0),
	epochs int CHECK (epochs OPERATOR(pg_catalog.>=) 0),
	loss float8,
	metric_value float8,
	rows_per_second float8,
	backend text,
	peak_memory bigint,
	sqlstate text,
	submitted_at timestamptz NOT NULL DEFAULT now(),
	started_at timestamptz,
	progress_at timestamptz,
	finished_at timestamptz,
	-- of what is being counted now, so much of so much; NULL = not known
	unit text,
	done bigint,
	total bigint
) WITH (fillfactor = 50);
COMMENT ON TABLE tagrec_job IS 'tagrec: one row per job; see the view tagrec_jobs';

-- An error message may quote data, so the view tagrec_jobs shows it only to members of the job's role. It is not dumped.
CREATE TABLE tagrec_job_error (
	job bigint PRIMARY KEY REFERENCES tagrec_job ON DELETE CASCADE,
	message text,
	detail text,
	hint text
);
COMMENT ON TABLE tagrec_job_error IS 'tagrec: errors of failed jobs; see the view tagrec_jobs';

CREATE TABLE tagrec_epoch (
	job bigint NOT NULL REFERENCES tagrec_job ON DELETE CASCADE,
	-- trial of a tuning; 0 in other jobs, and for the final model of a tuning
	trial int NOT NULL DEFAULT 0 CHECK (trial OPERATOR(pg_catalog.>=) 0),
	epoch int NOT NULL CHECK (epoch OPERATOR(pg_catalog.>=) 0),
	loss float8 NOT NULL,
	metric_value float8,
	seconds float8 NOT NULL,
	rows_per_second float8 NOT NULL,
	finished_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (job, trial, epoch)
);
COMMENT ON TABLE tagrec_epoch IS 'tagrec: one row per epoch of a training; see the view tagrec_epochs';

CREATE TABLE tagrec_trial (
	job bigint NOT NULL REFERENCES tagrec_job ON DELETE CASCADE,
	trial int NOT NULL CHECK (trial OPERATOR(pg_catalog.>) 0),
	-- the job that ran the trial: an earlier one if its result was reused
	done_by bigint NOT NULL,
	state text NOT NULL CHECK (state OPERATOR(pg_catalog.=) ANY ('{done,failed}'::pg_catalog.text[])),
	settings jsonb NOT NULL,
	-- every option's value
	options jsonb NOT NULL,
	-- of the algorithm and all data read; results with different fingerprints cannot be compared. Not public, because it would
	-- allow users to check guesses about data that they may not read
	fingerprint text NOT NULL,
	-- cpu or cuda, and the version of the library: results depend on both
	device text NOT NULL,
	library text NOT NULL,
	metric text NOT NULL,
	value float8,
	epochs int CHECK (epochs OPERATOR(pg_catalog.>=) 0),
	best_epoch int CHECK (best_epoch BETWEEN 0 AND epochs),
	seconds float8 NOT NULL,
	sqlstate text,
	-- about the settings, never about the data
	error text,
	finished_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	-- of value
	stderr float8,
	-- the metric of the held-out pairs whose user, or item, has no others
	new_users float8,
	new_items float8,
	PRIMARY KEY (job, trial)
);
COMMENT ON TABLE tagrec_trial IS 'tagrec: one row per finished trial of a tuning; see the view tagrec_trials';

SELECT pg_catalog.pg_extension_config_dump('tagrec_model', '');
SELECT pg_catalog.pg_extension_config_dump('tagrec_model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('tagrec_version', '');
SELECT pg_catalog.pg_extension_config_dump('tagrec_result', '');
-- a restored database has no jobs to run, so only finished ones are dumped
SELECT pg_catalog.pg_extension_config_dump('tagrec_job', 'WHERE state IN (''done'', ''failed'', ''cancelled'')');
SELECT pg_catalog.pg_extension_config_dump('tagrec_job_job_seq', '');
SELECT pg_catalog.pg_extension_config_dump('tagrec_epoch',
	'WHERE job IN (SELECT job FROM @extschema@.tagrec_job WHERE state IN (''done'', ''failed'', ''cancelled''))');
SELECT pg_catalog.pg_extension_config_dump('tagrec_trial',
	'WHERE job IN (SELECT job FROM @extschema@.tagrec_job WHERE state IN (''done'', ''failed'', ''cancelled''))');

-- What a restore may insert: see src/pg/registry/guard.c. ENABLE ALWAYS, so that session_replication_role has no effect.
CREATE FUNCTION tagrec_guard() RETURNS trigger
AS 'MODULE_PATHNAME', 'tagrec_guard' LANGUAGE C;
COMMENT ON FUNCTION tagrec_guard() IS 'checks the rows that a restore inserts into the registry';
REVOKE ALL ON FUNCTION tagrec_guard() FROM PUBLIC;

CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_model FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_version FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_result FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_job FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_epoch FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
CREATE TRIGGER tagrec_guard BEFORE INSERT ON tagrec_trial FOR EACH ROW EXECUTE FUNCTION tagrec_guard();
ALTER TABLE tagrec_model ENABLE ALWAYS TRIGGER tagrec_guard;
ALTER TABLE tagrec_version ENABLE ALWAYS TRIGGER tagrec_guard;
ALTER TABLE tagrec_result ENABLE ALWAYS TRIGGER tagrec_guard;
ALTER TABLE tagrec_job ENABLE ALWAYS TRIGGER tagrec_guard;
ALTER TABLE tagrec_epoch ENABLE ALWAYS TRIGGER tagrec_guard;
ALTER TABLE tagrec_trial ENABLE ALWAYS TRIGGER tagrec_guard;

-- Read by the views of models, with the rights of their owners.
GRANT SELECT (model_id, deployed_version, previous_version) ON tagrec_model TO PUBLIC;
GRANT SELECT (model_id, version, features) ON tagrec_version TO PUBLIC;

-- For pg_dump and pg_restore as the database's owner. Not granted to the role that creates the extension: a role named in these
-- privileges could not be dropped, and later dumps would contain its name.
GRANT SELECT, INSERT ON tagrec_model, tagrec_version, tagrec_result, tagrec_job, tagrec_epoch, tagrec_trial TO pg_database_owner;
GRANT SELECT, UPDATE ON SEQUENCE tagrec_model_model_id_seq, tagrec_job_job_seq TO pg_database_owner;

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
