-- What cannot be answered, and what is said then.
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
SELECT fixture_model('by_text', 'text');
SELECT fixture_model('by_uuid', 'uuid');
SELECT fixture_network('net', 'text');
SELECT fixture_network('unasked', 'text');
RESET client_min_messages;
\set SHOW_CONTEXT never

-- models
SELECT * FROM tagrec_recommend('music', 1);
SELECT * FROM tagrec_recommend(NULL, 1);
SELECT tagrec_score('music', 1, 2);
SELECT tagrec_embed('music', '{a}');

-- functions that another version has declared
SELECT probin AS library FROM pg_proc WHERE proname = 'tagrec_recommend' LIMIT 1 \gset
CREATE FUNCTION one(text) RETURNS TABLE (rank int, item text, score real) AS :'library', 'tagrec_recommend_2' LANGUAGE C;
CREATE FUNCTION five(text, int, bigint, boolean, tagrec_ids) RETURNS TABLE (rank int, item text, score real) AS :'library', 'tagrec_recommend_2' LANGUAGE C;
CREATE FUNCTION five(text, int, bigint) RETURNS TABLE (rank int, item text, score real) AS :'library', 'tagrec_similar_items_2' LANGUAGE C;
\set VERBOSITY sqlstate
SELECT * FROM one('by_int');
SELECT * FROM five('by_int', 1, 3, true, '{1}');
SELECT * FROM five('by_int', 10, 3);
\set VERBOSITY default
DROP FUNCTION one, five(text, int, bigint, boolean, tagrec_ids), five(text, int, bigint);

-- numbers
SELECT * FROM tagrec_recommend('by_int', 1, -1);
SELECT * FROM tagrec_recommend('by_int', 1, NULL);
SELECT * FROM tagrec_recommend('by_int', 1, 10, NULL);
SELECT * FROM tagrec_recommend_all('by_int', -1);
SELECT * FROM tagrec_similar_items('by_int', 10, -5);
SELECT * FROM tagrec_feature_tags('net', 0);
SELECT * FROM tagrec_feature_tags('net', 3);
SELECT * FROM tagrec_feature_tags('net', NULL);

-- ids
SELECT * FROM tagrec_recommend('by_int', 'bob');
SELECT * FROM tagrec_recommend('by_int', 5000000000);
SELECT * FROM tagrec_recommend('by_uuid', 7);
SELECT * FROM tagrec_recommend('by_int', 1, candidates => '{40,x}');
SELECT * FROM tagrec_recommend_as(NULL::bigint, 'by_text', 'bob');
SELECT * FROM tagrec_recommend_as(NULL::uuid, 'by_int', 1);
SELECT * FROM tagrec_recommend_as(NULL::int, 'by_uuid', 'ffffffff-0000-4000-8000-000000000001');
SELECT * FROM tagrec_recommend_as(NULL, 'by_int', 1);
SELECT * FROM tagrec_recommend_as(NULL::smallint, 'by_int', 1, 0);

-- tags
SELECT tagrec_embed('net', '{synth,NULL}');
SELECT tagrec_embed('net', '{synth}', '{1,2}');
SELECT tagrec_embed('net', '{synth}', '{NULL}');
SELECT tagrec_embed('net', '{synth}', '{-1}');
SELECT tagrec_embed('net', '{synth}', '{NaN}');
SELECT tagrec_embed('net', '{synth}', '{Infinity}');
SELECT tagrec_embed('net', '{synth}', '{3e38}');
SELECT * FROM tagrec_recommend_for_tags('net', '{synth}', '{}');
-- a model that does not read them, and one that has no space to compare in
SELECT tagrec_embed('by_int', '{synth}');
SELECT * FROM tagrec_explain('by_int', 1, 10);
UPDATE tagrec_version SET unit_width = 0 WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'by_int');
SELECT * FROM tagrec_similar_items('by_int', 10);
SELECT * FROM tagrec_similar_users('by_int', 1);
-- one for another task, or of a later format
UPDATE tagrec_version SET task = 'tag' WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'by_int');
SELECT * FROM tagrec_recommend('by_int', 1);
UPDATE tagrec_version SET task = 'item', format = 1000 WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'by_int');
SELECT * FROM tagrec_recommend('by_int', 1);

-- rows that are gone, changed or foreign
CREATE FUNCTION spoilt(damage text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE damage;
	EXECUTE query;
	RAISE EXCEPTION USING MESSAGE = 'no error', ERRCODE = 'P0099';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || SQLERRM || CASE WHEN detail <> '' THEN ' -- ' || detail ELSE '' END;
END $$;
\set QUIET on
\pset format unaligned
\pset tuples_only on
-- without change, nothing is wrong
SELECT spoilt('SELECT', $$SELECT * FROM tagrec_recommend('by_text', 'bob')$$);
SELECT spoilt('CREATE TABLE c AS SELECT * FROM by_uuid_item_v1; TRUNCATE by_uuid_item_v1; INSERT INTO by_uuid_item_v1 SELECT * FROM c WHERE position <> 3',
	$$SELECT * FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001')$$);
SELECT spoilt('CREATE TABLE c AS SELECT * FROM by_uuid_item_v1; TRUNCATE by_uuid_item_v1; INSERT INTO by_uuid_item_v1 SELECT version, item_id, greatest(position, 1), embedding FROM c',
	$$SELECT * FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001')$$);
SELECT spoilt('CREATE TABLE c AS SELECT * FROM by_uuid_item_v1; TRUNCATE by_uuid_item_v1; INSERT INTO by_uuid_item_v1 SELECT version, item_id, position, ''{1,2,3}'' FROM c',
	$$SELECT * FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001')$$);
SELECT spoilt($$UPDATE by_text_user_v1 SET embedding = '{1,2}'$$, $$SELECT * FROM tagrec_recommend('by_text', 'bob')$$);
SELECT spoilt($$UPDATE by_text_user_v1 SET seen = '{1,12}'$$, $$SELECT * FROM tagrec_recommend('by_text', 'bob')$$);
SELECT spoilt($$UPDATE by_text_user_v1 SET seen = '{1,12}'$$, $$SELECT * FROM tagrec_recommend_all('by_text')$$);
SELECT spoilt($$UPDATE by_text_user_v1 SET embedding = NULL$$, $$SELECT * FROM tagrec_recommend_all('by_text')$$);
SELECT spoilt($$DELETE FROM unasked_weight_v1 WHERE name = 'b1'$$, $$SELECT tagrec_embed('unasked', '{synth}')$$);
SELECT spoilt($$DELETE FROM unasked_weight_v1 WHERE part = 1$$, $$SELECT tagrec_embed('unasked', '{synth}')$$);
SELECT spoilt($$DELETE FROM unasked_tag_v1 WHERE position = 1$$, $$SELECT tagrec_embed('unasked', '{synth}')$$);
SELECT spoilt($$UPDATE unasked_weight_v1 SET rows = 2 WHERE name = 'W1'$$, $$SELECT tagrec_embed('unasked', '{synth}')$$);
SELECT spoilt($$UPDATE tagrec_version SET width = 3 WHERE algorithm = 'dspr'$$, $$SELECT tagrec_embed('unasked', '{synth}')$$);
SELECT spoilt('DROP TABLE by_text_user_v1', $$SELECT * FROM tagrec_recommend('by_text', 'bob')$$);
SELECT spoilt('DROP VIEW by_text_item_embedding', $$SELECT * FROM tagrec_recommend('by_text', 'bob')$$);
SET client_min_messages = warning;
SELECT spoilt('DROP SCHEMA fixture CASCADE', $$SELECT * FROM public.tagrec_recommend('by_text', 'bob')$$);
-- and all is well again
SELECT item FROM tagrec_recommend('by_text', 'bob', 1);
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001', 1);
SELECT tagrec_embed('unasked', '{synth}') IS NOT NULL;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
