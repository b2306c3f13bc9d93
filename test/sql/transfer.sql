-- A model as a value, and back.
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\set ECHO all
CREATE TABLE saved AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 30 AS item_id, 't' || (u * k) % 12 AS tag, 1 + k % 3 AS weight
	FROM generate_series(1, 40) u, generate_series(1, 8) k;
SELECT count(tagrec_train('m ' || algorithm, 'saved', algorithm, options::jsonb)) FROM (VALUES
	('hdlpr_ns', '{"epochs": 2, "layers": [8]}'), ('hybrid', '{"epochs": 2, "layers": [8]}'), ('ease_tags', '{}'), ('item_knn', '{}'),
	('user_knn', '{}'), ('ials', '{"epochs": 2}'), ('blend', '{}'), ('popularity', '{}'), ('tag_bm25', '{}'),
	('dae_ptr', '{"epochs": 2}'), ('tag_product', '{}'), ('folkrank', '{}')) a (algorithm, options);
SELECT fixture_model('by_uuid', 'uuid'), fixture_network('mixed', 'bigint');
UPDATE tagrec_version SET source = 'fixture.saved' WHERE source = 'nowhere';

-- the copies answer as the models do
CREATE FUNCTION answers(model text, task text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE task WHEN 'item' THEN (SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all(model, 5) r)
		ELSE (SELECT string_agg(r::text, ' ' ORDER BY u, i, r.rank) FROM generate_series(1, 40) u, generate_series(0, 29, 7) i,
			tagrec_recommend_tags(model, u, 'i' || i, 3) r) END
$$;
CREATE TABLE archive AS SELECT model, task, tagrec_export(model) AS value FROM tagrec_models;
SELECT a.model, tagrec_import('copy of ' || a.model, a.value) AS version,
	answers(a.model, a.task) = answers('copy of ' || a.model, a.task) AS same,
	length(answers(a.model, a.task)) > 100 AS something
FROM archive a ORDER BY a.model;
-- and are the same, to the byte but for the metadata
CREATE FUNCTION header_size(archive bytea) RETURNS int LANGUAGE sql AS $$
	SELECT get_byte(archive, 0) + get_byte(archive, 1) * 256 + get_byte(archive, 2) * 65536
$$;
CREATE FUNCTION header(archive bytea) RETURNS jsonb LANGUAGE sql AS $$
	SELECT convert_from(substr(archive, 9, size), 'UTF8')::jsonb FROM header_size(archive) size
$$;
SELECT count(*), bool_and(substr(a.value, 9 + header_size(a.value)) = substr(b.value, 9 + header_size(b.value))) AS same_tensors,
	bool_and(header(a.value) - '__metadata__' = header(b.value) - '__metadata__') AS same_header
FROM archive a, LATERAL (SELECT tagrec_export('copy of ' || a.model)) b (value);
SELECT key, header(value) -> key -> 'dtype' AS dtype, header(value) -> key -> 'shape' AS shape
FROM archive, jsonb_object_keys(header(value)) key WHERE model = 'm hdlpr_ns' AND key <> '__metadata__' ORDER BY key COLLATE "C";
-- a second import is the next version; the first of a model is always deployed
SELECT tagrec_import('copy of m ease_tags', value, deploy => false) FROM archive WHERE model = 'm ease_tags';
SELECT version, deployed, algorithm, job, refreshed_from, source FROM tagrec_versions WHERE model = 'copy of m ease_tags' ORDER BY version;
SELECT tagrec_import('copy of by_uuid', value) FROM archive WHERE model = 'mixed';
-- old ones go, as after a training
SELECT tagrec_import('copy of m ease_tags', value) FROM archive WHERE model = 'm ease_tags';
SELECT tagrec_import('copy of m ease_tags', value) FROM archive WHERE model = 'm ease_tags';
SELECT tagrec_import('copy of m ease_tags', value) FROM archive WHERE model = 'm ease_tags';
SELECT version, deployed FROM tagrec_versions WHERE model = 'copy of m ease_tags' ORDER BY version;
-- a model that was imported is trained and refreshed like any other
SELECT tagrec_refresh('copy of m hdlpr_ns') > 0, tagrec_train('copy of m ials', 'saved', 'popularity') > 0;

-- what is no archive
\set VERBOSITY terse
SELECT tagrec_import('x', '\x');
SELECT tagrec_import('x', '\x00000000000000007b7d');
SELECT tagrec_import('x', '\x02000000000000007b7d');
SELECT tagrec_import('x', '\x0300000000000000310000');
SELECT tagrec_import('x', NULL);
SELECT tagrec_import('no/such' || repeat('x', 100), value) FROM archive WHERE model = 'mixed';
SELECT tagrec_import('x', value, schema => 'pg_catalog') FROM archive WHERE model = 'mixed';
SELECT tagrec_export('no such model');
SELECT tagrec_export('mixed', 7);
\set VERBOSITY default

-- an archive with another header, or other tensors
CREATE FUNCTION with_header(archive bytea, header jsonb) RETURNS bytea LANGUAGE sql AS $$
	SELECT set_byte(set_byte(set_byte('\x0000000000000000'::bytea, 0, n % 256), 1, n / 256 % 256), 2, n / 65536)
		|| convert_to(header::text, 'UTF8') || substr(archive, 9 + header_size(archive))
	FROM length(convert_to(header::text, 'UTF8')) n
$$;
CREATE FUNCTION attempt(changed bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
BEGIN
	PERFORM tagrec_import('attempt', changed);
	RAISE 'it was imported';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN CASE WHEN SQLSTATE IN ('22P03', 'XX001') THEN concat_ws(': ', message, detail) ELSE message END;
END $$;
CREATE FUNCTION metadata(archive bytea, change jsonb) RETURNS bytea LANGUAGE sql AS $$
	SELECT with_header(archive, jsonb_set(header(archive), '{__metadata__,tagrec}',
		to_jsonb((((header(archive) #>> '{__metadata__,tagrec}')::jsonb || change))::text)))
$$;
SELECT change, attempt(metadata(value, change)) FROM archive, unnest(ARRAY['{"users": 41}', '{"items": -1}', '{"width": 3}',
	'{"width": 2000000}', '{"format": 99}', '{"features": 8}', '{"task": "tag"}', '{"algorithm": "none"}', '{"options": {"layers": 3}}',
	'{"user_type": "no_type"}', '{"user_type": "point"}', '{"user_type": "text"}', '{"item_type": "int"}', '{"source": "unqualified"}',
	'{"source": null}', '{"unit_width": 10}', '{"best_epoch": 1000}', '{"version": 77, "model_id": -1, "job": -3}']::jsonb[]) change
WHERE model = 'm hdlpr_ns';
SELECT path, value2 AS value, attempt(with_header(value, jsonb_set(header(value), path, value2))) FROM archive, (VALUES
	('{user.embedding,dtype}'::text[], '"F64"'::jsonb), ('{user.embedding,shape}', '[40, -8]'), ('{user.embedding,shape}', '[8, 40]'),
	('{user.embedding,shape}', '[9223372036854775807, 9223372036854775807]'), ('{user.embedding,shape}', '[40.5, 9]'),
	('{user.embedding,shape}', '[[40], 9]'), ('{user.embedding,shape}', '[360]'), ('{user.embedding,data_offsets}', '[0, 1]'),
	('{user.embedding,data_offsets}', '[1000000000, 1000001440]'), ('{user.embedding,data_offsets}', '[5, 4]'), ('{user.seen}', '7'),
	('{__metadata__}', '7'), ('{__metadata__,tagrec}', '"[]"'), ('{__metadata__,tagrec}', '"{"'), ('{weight.W1,shape}', '[1, 96]'),
	('{user.seen,dtype}', '"F32"')) change (path, value2)
WHERE model = 'm hdlpr_ns';
SELECT key, attempt(with_header(value, header(value) - key)) FROM archive, unnest('{__metadata__,user.user_id,user.seen.end,item.posts,tag.tag,
	weight.W1,weight.b1}'::text[]) key WHERE model = 'm hdlpr_ns';
-- tensors of other contents: where they begin, by the header
CREATE FUNCTION with_bytes(archive bytea, tensor text, skip int, bytes bytea) RETURNS bytea LANGUAGE sql AS $$
	SELECT overlay(archive PLACING bytes FROM 9 + header_size(archive) + skip + (header(archive) #>> ARRAY[tensor, 'data_offsets', '0'])::int)
$$;
SELECT tensor, skip, bytes, attempt(with_bytes(value, tensor, skip, bytes)) FROM archive, (VALUES
	('user.user_id', 0, '\x78'::bytea), ('user.user_id', 0, '\x00'), ('item.item_id', 0, '\xff'), ('user.embedding', 4, '\x0000c07f'),
	('user.seen', 0, '\xe1ffffff'), ('user.seen', 0, '\x1e000000'), ('user.seen.end', 0, '\xffffffffffffffff'),
	('user.seen.end', 0, '\xffffffffffffff7f'), ('item.position', 0, '\x01000000'), ('item.posts', 0, '\xffffffff'),
	('user.counts', 0, '\x000080bf'), ('user.tags', 0, '\x0c000000'), ('tag.position', 0, '\x01000000'),
	('weight.W1', 0, '\x0000807f')) change (tensor, skip, bytes)
WHERE model = 'm hdlpr_ns';
SELECT count(*) AS models_of_attempts FROM tagrec_models WHERE model = 'attempt';
-- every byte of an archive's tensors changed, or the archive cut there: an error, or a model that answers
CREATE FUNCTION mutate(archive bytea, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	place int := ('x' || substr(md5(n::text), 1, 7))::bit(28)::int % length(archive);
	changed bytea := CASE WHEN n % 5 = 0 THEN substr(archive, 1, place) ELSE set_byte(archive, place, ('x' || md5(n::text))::bit(8)::int) END;
BEGIN
	PERFORM tagrec_import('attempt', changed);
	PERFORM count(*) FROM tagrec_recommend_all('attempt', 3);
	RAISE SQLSTATE '00001';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE WHEN SQLSTATE = 'XX000' THEN format('%s at %s: %s', n, place, SQLERRM) END;
END $$;
SELECT model, count(*), string_agg(mutate(value, n), E'\n') AS internal_errors FROM archive, generate_series(1, 15) n
WHERE task = 'item' GROUP BY model ORDER BY model;
\set ECHO none
SELECT tagrec_drop(model) FROM tagrec_models WHERE model LIKE 'copy of %' OR model LIKE 'm %' \g /dev/null
\i :drop_fixture
