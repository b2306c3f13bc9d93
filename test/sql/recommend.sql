-- Recommendations against a query over the stored arrays.
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\set ECHO all

SELECT fixture_model('by_int', 'int');
SELECT fixture_model('by_bigint', 'bigint');
SELECT fixture_model('by_text', 'text');
SELECT fixture_model('by_uuid', 'uuid');
SELECT fixture_model('mixed keys', 'int', 'text');
RESET client_min_messages;

-- twins tie: the smaller key comes first
SELECT * FROM tagrec_recommend('by_int', 1, 4);
SELECT * FROM tagrec_recommend('mixed keys', 1, 4);

-- every user of every model, with and without the items they have, for lists of any length
CREATE FUNCTION candidates(key_type text, c int) RETURNS text[] LANGUAGE sql AS $$
	SELECT CASE WHEN c > 0 THEN (SELECT array_agg(fixture_item(key_type::regtype, p)) FROM generate_series(11, 0, -1) p
		WHERE p % (c + 1) <> 0) END
$$;
SELECT model, count(*) AS lists, sum(cardinality(want)) AS rows, bool_and(got IS NOT DISTINCT FROM want) AS equal
FROM (VALUES ('by_int', 'int', 'int'), ('by_bigint', 'bigint', 'bigint'), ('by_text', 'text', 'text'),
		('by_uuid', 'uuid', 'uuid'), ('mixed keys', 'int', 'text')) AS m (model, user_type, item_type),
	generate_series(0, 7) AS p, unnest(ARRAY[1, 2, 5, 12, 1000]) AS n, unnest(ARRAY[true, false]) AS seen,
	generate_series(0, 3) AS c,
	LATERAL (SELECT fixture_user(user_type::regtype, p) AS u, candidates(item_type, c) AS chosen) AS a,
	LATERAL (SELECT array_agg(r) AS got FROM tagrec_recommend(model, u, n, seen, coalesce(tagrec_ids(chosen), 'all')) AS r) AS g,
	LATERAL (SELECT array_agg(ROW(r.*) ORDER BY r.rank) AS want FROM fixture_recommend(model, u, n, seen, chosen) AS r) AS w
GROUP BY model ORDER BY model;

-- rows come by rank
SELECT array_agg(rank) FROM tagrec_recommend('by_int', 1, 5);
-- nobody asks for nothing, nobody unknown has anything; user 8 has all items
SELECT count(*) FROM tagrec_recommend('by_int', 1, 0);
SELECT count(*) FROM tagrec_recommend('by_int', 99);
SELECT count(*) FROM tagrec_recommend('by_int', NULL);
SELECT count(*) FROM tagrec_recommend('by_int', 8);
SELECT count(*) FROM tagrec_recommend('by_int', 8, exclude_seen => false);
-- n has a default
SELECT count(*) FROM tagrec_recommend('by_int', 8, 1000, false);

-- candidates: unknown ones are ignored, repeated ones count once, none of them is none
SELECT * FROM tagrec_recommend('by_int', 1, candidates => '{40,999,10,40,10}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => '{}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => '{999}');

-- typed ids join
SELECT r.rank, i.position FROM tagrec_recommend_as(NULL::int, 'by_int', 1, 3) r
	JOIN by_int_item_v1 i ON i.item_id = r.item ORDER BY r.rank;
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::int, 'by_int', 1, 1);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(0::bigint, 'by_int', '1', 1);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::text, 'by_int', 1, 1);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::int, 'by_bigint', 5000000001, 0);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::uuid, 'by_uuid', 'ffffffff-0000-4000-8000-000000000000', 1);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::varchar, 'by_text', 'alice', 1, false, '{i05,i06}');
CREATE DOMAIN positive_item AS int CHECK (VALUE > 0);
SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::positive_item, 'by_int', 1, 1);

-- all users at once: the same rows
SELECT model, n, seen, count(*) AS rows, count(*) FILTER (WHERE one.rank IS NULL OR al.rank IS NULL) AS different
FROM (VALUES ('by_int', 3, true), ('by_text', 100, true), ('by_uuid', 5, false), ('mixed keys', 1, true)) AS m (model, n, seen),
	LATERAL (SELECT a.* FROM tagrec_recommend_all(model, n, seen) a) AS al
	FULL JOIN LATERAL (SELECT 1) x ON true
	LEFT JOIN LATERAL (SELECT r.* FROM tagrec_recommend(model, al.user_id, n, seen) r) AS one
		ON one.rank = al.rank AND one.item = al.item AND one.score = al.score
GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(DISTINCT user_id) AS users, count(*) AS rows FROM tagrec_recommend_all('by_int', 4);
SELECT count(*) FROM tagrec_recommend_all('by_int', 0);
SELECT count(*) FROM tagrec_recommend_all('by_int', exclude_seen => false, n => 2);

-- LATERAL, a cursor, the select list, a parallel plan
SELECT user_id, item FROM by_text_user_v1 u, LATERAL tagrec_recommend('by_text', u.user_id, 1) r ORDER BY user_id;
BEGIN;
DECLARE c CURSOR FOR SELECT item FROM tagrec_recommend('by_int', 1, 5);
FETCH 2 FROM c;
SELECT count(*) FROM tagrec_recommend('by_text', 'bob');
FETCH 1 FROM c;
COMMIT;
SELECT tagrec_recommend('by_int', 1, 2);
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
DO $$ BEGIN PERFORM set_config(name, 'on', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); END $$;
SELECT count(*), sum(score) = (SELECT sum(score) FROM tagrec_recommend_all('by_int', 3)) AS equal
FROM by_int_user_v1 u, LATERAL tagrec_recommend('by_int', u.user_id, 3) r;
EXPLAIN (COSTS off) SELECT count(*) FROM by_int_user_v1 u, LATERAL tagrec_recommend('by_int', u.user_id, 3) r;
COMMIT;

-- a version is looked up on every call, so a deployment that is rolled back leaves nothing behind
SET client_min_messages = warning;
SELECT fixture_version('by_int', 2, 'int', 'int', 'popularity', '{}', 4, 3);
RESET client_min_messages;
CREATE VIEW top AS SELECT array_agg(item ORDER BY rank) AS top FROM tagrec_recommend('by_int', 1, 5);
SELECT * FROM top;
BEGIN;
UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'by_int';
SELECT * FROM top;
ROLLBACK;
SELECT * FROM top;
UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'by_int';
SELECT * FROM top;
-- the oracle agrees in each case
SELECT bool_and(r.item = f.item) FROM tagrec_recommend('by_int', 1, 5) r JOIN fixture_recommend('by_int', '1', 5, true) f USING (rank);

-- one version at a time when the cache is small
SET tagrec.cache_size = 0;
SELECT count(DISTINCT (SELECT array_agg(r) FROM tagrec_recommend(model, u, 4) r)::text)
FROM generate_series(1, 6) i, (VALUES ('by_int', '2'), ('by_text', 'bob'), ('by_uuid', 'ffffffff-0000-4000-8000-000000000001')) m (model, u);
RESET tagrec.cache_size;

-- a version that is trained again under the same number, or emptied, is not answered from memory
BEGIN;
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000000', 1);
CREATE TABLE copy AS SELECT version, item_id, 11 - position AS position, embedding, tags, counts, posts FROM by_uuid_item_v1;
TRUNCATE by_uuid_item_v1;
INSERT INTO by_uuid_item_v1 SELECT * FROM copy;
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000000', 1, false);
ROLLBACK;
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000000', 1);

-- SELECT on the item embeddings is the right to use a model, and the only one that is needed
CREATE ROLE regress_tagrec_reader;
GRANT USAGE ON SCHEMA fixture TO regress_tagrec_reader;
SET ROLE regress_tagrec_reader;
SELECT count(*) FROM tagrec_recommend('by_text', 'bob', 2);
SELECT count(*) FROM by_text_user_v1;
RESET ROLE;
GRANT SELECT ON by_text_item_embedding TO regress_tagrec_reader;
SET ROLE regress_tagrec_reader;
SELECT count(*) FROM tagrec_recommend('by_text', 'bob', 2);
SELECT count(*) FROM tagrec_recommend_all('by_text', 2);
SELECT tagrec_score('by_text', 'bob', 'i03');
SELECT count(*) FROM by_text_user_v1;
SELECT current_user;
-- an error in the middle of a call leaves the role alone
DO $$ BEGIN
	PERFORM tagrec_recommend('by_text', 'bob', boost => '{i01}', boost_factor => '{NULL}');
EXCEPTION WHEN null_value_not_allowed THEN
	RAISE NOTICE 'still %', current_user;
END $$;
-- the caller's own domain is read by the caller
CREATE FUNCTION pg_temp.whoami(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF $1 IS NOT NULL THEN
		RAISE NOTICE 'checked by %', current_user;
	END IF;
	RETURN true;
END $$;
CREATE DOMAIN pg_temp.own AS text CHECK (pg_temp.whoami(VALUE));
SELECT item FROM tagrec_recommend_as(NULL::pg_temp.own, 'by_text', 'bob', 1);
RESET ROLE;
REVOKE ALL ON SCHEMA fixture FROM regress_tagrec_reader;
DROP OWNED BY regress_tagrec_reader;
DROP ROLE regress_tagrec_reader;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
