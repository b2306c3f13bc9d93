-- Ids of users and items in every form a caller may have them in.
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
RESET client_min_messages;

-- literals
SELECT item FROM tagrec_recommend('by_int', 2, 1);
SELECT item FROM tagrec_recommend('by_int', '2', 1);
SELECT item FROM tagrec_recommend('by_int', 2::bigint, 1);
SELECT item FROM tagrec_recommend('by_int', 2::smallint, 1);
SELECT item FROM tagrec_recommend('by_int', 2::numeric, 1);
SELECT item FROM tagrec_recommend('by_int', '2'::text, 1);
SELECT item FROM tagrec_recommend('by_bigint', 5000000002, 1);
SELECT item FROM tagrec_recommend('by_bigint', '5000000002', 1);
SELECT item FROM tagrec_recommend('by_text', 'bob', 1);
SELECT item FROM tagrec_recommend('by_text', 'bob'::varchar(10), 1);
SELECT item FROM tagrec_recommend('by_text', 'bob'::name, 1);
SELECT item FROM tagrec_recommend('by_text', 'bob'::char(10), 1);
SELECT item FROM tagrec_recommend('by_uuid', 'FFFFFFFF-0000-4000-8000-000000000001', 1);
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001'::uuid, 1);
CREATE DOMAIN customer AS int;
SELECT item FROM tagrec_recommend('by_int', 2::customer, 1);
-- an id that is no key is an unknown user where text goes, an error of the key's type elsewhere
SELECT count(*) FROM tagrec_recommend('by_text', 42);

-- columns
SELECT item FROM (SELECT 2) u (id), LATERAL tagrec_recommend('by_int', u.id, 1);
SELECT item FROM (SELECT 5000000002) u (id), LATERAL tagrec_recommend('by_bigint', u.id, 1);
SELECT item FROM (SELECT 'bob'::text) u (id), LATERAL tagrec_recommend('by_text', u.id, 1);
SELECT item FROM (SELECT 'ffffffff-0000-4000-8000-000000000001'::uuid) u (id), LATERAL tagrec_recommend('by_uuid', u.id, 1);

-- parameters whose type is left open, as most drivers leave it, and typed ones
PREPARE open_int AS SELECT item FROM tagrec_recommend('by_int', $1, 1);
PREPARE open_text AS SELECT item FROM tagrec_recommend('by_text', $1, 1);
PREPARE open_uuid AS SELECT item FROM tagrec_recommend('by_uuid', $1, 1);
PREPARE typed_int (int) AS SELECT item FROM tagrec_recommend('by_int', $1, 1);
PREPARE typed_bigint (bigint) AS SELECT item FROM tagrec_recommend('by_int', $1, 1);
PREPARE typed_uuid (uuid) AS SELECT item FROM tagrec_recommend('by_uuid', $1, 1);
PREPARE open_pair AS SELECT tagrec_score('by_int', $1, $2);
PREPARE open_item AS SELECT tagrec_score('by_int', 2, $1);
PREPARE open_user AS SELECT tagrec_score('by_int', $1, 40);
PREPARE open_as AS SELECT pg_typeof(item), item FROM tagrec_recommend_as(NULL::int, 'by_int', $1, 1);
EXECUTE open_int(2);
EXECUTE open_text('bob');
EXECUTE open_uuid('ffffffff-0000-4000-8000-000000000001');
EXECUTE typed_int(2);
EXECUTE typed_bigint(2);
EXECUTE typed_uuid('ffffffff-0000-4000-8000-000000000001');
EXECUTE open_pair(2, 40);
EXECUTE open_item(40);
EXECUTE open_user(2);
EXECUTE open_as(2);
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
DEALLOCATE ALL;

-- named notation
SELECT item FROM tagrec_recommend(model => 'by_int', user_id => 2, n => 1);
SELECT item FROM tagrec_recommend(user_id => 'bob', model => 'by_text', candidates => '{i06,i05}', n => 1);
SELECT item FROM tagrec_recommend_as(item_type => NULL::int, model => 'by_int', user_id => 2, n => 1);
SELECT item FROM tagrec_similar_items(model => 'by_int', item_id => 10, n => 1);
SELECT user_id FROM tagrec_similar_users(model => 'by_int', user_id => '2', n => 1);

-- pairs of ids, each in its own form
SELECT tagrec_score('by_int', 2, 40), tagrec_score('by_int', '2', 40), tagrec_score('by_int', 2, '40'),
	tagrec_score('by_int', '2', '40'), tagrec_score('by_int', 2::bigint, '40'::text), tagrec_score('by_int', '2'::text, 40);
SELECT tagrec_score('by_text', 'bob', 'i03'), tagrec_score('by_text', 'bob', 42), tagrec_score('by_text', 42, 'x');
SELECT tagrec_score(model => 'by_int', item_id => 40, user_id => '2');
SELECT tagrec_score('by_uuid', u, '0000000a-0000-4000-8000-000000000003') FROM
	(SELECT 'ffffffff-0000-4000-8000-000000000001'::uuid) x (u);

-- every item of every model is found under its key, and scored alike however it is asked for
SELECT count(*), bool_and(s IS NOT NULL AND s = fixture_dot(u.embedding, i.embedding)) FROM by_uuid_user_v1 u, by_uuid_item_v1 i,
	LATERAL tagrec_score('by_uuid', u.user_id, i.item_id) s;
SELECT count(*), bool_and(s IS NOT NULL AND s = fixture_dot(u.embedding, i.embedding)) FROM by_bigint_user_v1 u, by_bigint_item_v1 i,
	LATERAL tagrec_score('by_bigint', u.user_id, i.item_id::text) s;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
