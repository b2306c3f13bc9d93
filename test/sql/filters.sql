-- Filters: candidates and exclusions in arrays of any type and in relations; other types of arguments; versions and pages.
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
SELECT fixture_version('by_int', 2, 'int', 'int', 'popularity', '{}', 4, 3);
UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'by_int';
SELECT fixture_model('by_bigint', 'bigint');
SELECT fixture_model('by_text', 'text');
SELECT fixture_model('by_uuid', 'uuid');
RESET client_min_messages;
\set SHOW_CONTEXT never

-- a filter that finds nothing selects nothing; all is said by a word, or by saying nothing
CREATE TABLE products (item_id int PRIMARY KEY, category text, in_stock boolean);
INSERT INTO products SELECT p * 10 - 20, CASE WHEN p % 3 = 0 THEN 'clocks' ELSE 'radios' END, p % 2 = 0 FROM generate_series(0, 11) p;
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => (SELECT array_agg(item_id) FROM products WHERE category = 'watches'));
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => NULL);
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => NULL::bigint[]);
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => ARRAY(SELECT item_id FROM products WHERE false));
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => '{}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => '{NULL}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => '{999}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => ARRAY[5000000000]);
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates => 'all');
SELECT count(*) FROM tagrec_recommend('by_int', 1);
-- to leave out nothing is to leave out nothing
SELECT count(*) FROM tagrec_recommend('by_int', 1, exclude => (SELECT array_agg(item_id) FROM products WHERE category = 'watches'));
SELECT count(*) FROM tagrec_recommend('by_int', 1, exclude => '{}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, exclude => '{NULL,999}');
SELECT count(*) FROM tagrec_recommend('by_int', 1, exclude => 'all');

-- none, one, half and all of the items, in either direction and from both kinds of argument: as a query over the list says
CREATE VIEW half AS SELECT item_id FROM products WHERE in_stock;
CREATE VIEW none AS SELECT item_id FROM products WHERE false;
CREATE VIEW one AS SELECT item_id::numeric AS only_column FROM products WHERE item_id = 40;
CREATE VIEW all_items AS SELECT item_id::text, category FROM products;
CREATE FUNCTION wanted(u int, n int, chosen int[], not_chosen int[]) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(item ORDER BY rank) FILTER (WHERE place <= n) FROM (
		SELECT *, row_number() OVER (ORDER BY rank) AS place FROM fixture_recommend('by_int', u::text, 1000, true)
		WHERE item::int = ANY (chosen) AND item::int <> ALL (not_chosen)) AS l
$$;
CREATE TABLE filter (name text, relation regclass, ids int[]);
INSERT INTO filter SELECT 'none', 'none', '{}';
INSERT INTO filter SELECT 'one', 'one', '{40}';
INSERT INTO filter SELECT 'half', 'half', array_agg(item_id ORDER BY item_id DESC) FROM half;
INSERT INTO filter SELECT 'all', 'all_items', array_agg(item_id::int) FROM all_items;
SELECT c.name AS candidates, e.name AS exclude, count(*) AS lists, bool_and(by_array IS NOT DISTINCT FROM want) AS arrays,
	bool_and(by_relation IS NOT DISTINCT FROM want) AS relations, bool_and(by_both IS NOT DISTINCT FROM want) AS both
FROM filter c, filter e, generate_series(1, 8) u, unnest(ARRAY[1, 5, 100]) n,
	LATERAL wanted(u, n, c.ids, e.ids) want,
	LATERAL (SELECT array_agg(item ORDER BY rank) FROM tagrec_recommend('by_int', u, n, candidates => c.ids, exclude => e.ids)) a (by_array),
	LATERAL (SELECT array_agg(item ORDER BY rank)
		FROM tagrec_recommend('by_int', u, n, candidates_from => c.relation, exclude_from => e.relation)) r (by_relation),
	LATERAL (SELECT array_agg(item ORDER BY rank) FROM tagrec_recommend('by_int', u, n, candidates => c.ids, candidates_from => c.relation,
		exclude => e.ids[1:2], exclude_from => e.relation)) b (by_both)
GROUP BY 1, 2 ORDER BY 1, 2;
-- of candidates in two forms, what both have
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 100, false, candidates => '{-20,-10,0,10}', candidates_from => 'half');

-- arrays of any type
SELECT type, (SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 3, candidates => ids)) AS items
FROM (VALUES ('smallint', tagrec_ids('{40,60,20,-20}'::smallint[])), ('int', tagrec_ids('{40,60,20,-20}'::int[])), ('bigint', tagrec_ids('{40,60,20,-20}'::bigint[])),
	('numeric', tagrec_ids('{40,60,20,-20}'::numeric[])), ('text', tagrec_ids('{40,60,20,-20}'::text[])), ('varchar', tagrec_ids('{40,60,20,-20}'::varchar[])),
	('char', tagrec_ids('{40,60,20,-20}'::char(5)[])), ('name', tagrec_ids('{40,60,20,-20}'::name[])), ('literal', '{40,60,20,-20}'),
	('two dimensions', tagrec_ids('{{40,60},{20,-20}}'::int[]))) AS v (type, ids);
SELECT format($$SELECT string_agg(item, ' ' ORDER BY rank) AS "%s[]" FROM tagrec_recommend('by_int', 1, 3, candidates => '{40,60,20,-20}'::%s[])$$, t, t)
FROM unnest('{smallint,int,bigint,numeric,text,varchar,char(4),name}'::text[]) t \gexec
CREATE TYPE size AS ENUM ('i05', 'i06');
CREATE DOMAIN sku AS text;
SELECT item FROM tagrec_recommend('by_text', 'bob', 1, false, candidates => tagrec_ids('{i06,i05}'::size[]));
SELECT item FROM tagrec_recommend('by_text', 'bob', 1, false, candidates => tagrec_ids('{i06,i05}'::sku[]));
-- stored ones stay what they were when their type is altered or dropped
CREATE TABLE pair (a bigint);
CREATE TABLE basket (id int, ids tagrec_ids);
INSERT INTO basket VALUES (1, tagrec_ids(ARRAY[ROW(81985529216486895)::pair, NULL])), (2, tagrec_ids('{i06,i05}'::sku[])),
	(3, tagrec_ids('{}'::pair[])), (4, tagrec_ids('{i06,i05}'::size[]));
ALTER TABLE pair ALTER a TYPE text;
SELECT ids FROM basket WHERE id <> 2 ORDER BY id;
SELECT item FROM basket, tagrec_recommend('by_text', 'bob', 1, false, candidates => ids) WHERE id = 2;
DROP DOMAIN sku;
SELECT ids FROM basket WHERE id = 2;
SELECT item FROM tagrec_recommend('by_text', 'bob', 1, false, candidates => ARRAY['i06', 'i05']);
SELECT item FROM tagrec_recommend('by_text', 'bob', 1, false, candidates => '{i06,i05}'::char(5)[]);
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001', 1,
	candidates => (SELECT array_agg(item_id) FROM by_uuid_item_v1 WHERE position IN (1, 3, 5)));
SELECT item FROM tagrec_recommend('by_uuid', 'ffffffff-0000-4000-8000-000000000001', 1,
	candidates => (SELECT array_agg(item_id::text) FROM by_uuid_item_v1 WHERE position IN (1, 3, 5)));
SELECT item FROM tagrec_recommend('by_bigint', 5000000002, 1, candidates => ARRAY[6000000040, 6000000050]);
-- what has rows in the order of the keys, or in none, is found alike
SELECT bool_and(got = want) FROM generate_series(1, 200) seed, LATERAL (SELECT setseed(seed / 1000.0)) s,
	LATERAL (SELECT array_agg(p * 10 - 20 ORDER BY random()) AS ids FROM generate_series(-3, 15) p WHERE random() < 0.5 AND seed > 0) i,
	LATERAL (SELECT array_agg(item ORDER BY item::int) AS got FROM tagrec_recommend('by_int', 7, 100, false, ids)) g,
	LATERAL (SELECT array_agg(x::text ORDER BY x) AS want FROM unnest(ids) x WHERE x BETWEEN -20 AND 90) w;
-- long arrays are remembered: other ones, other versions and other models are told apart
SELECT model, version, count(*) AS lists, bool_and(got IS NOT DISTINCT FROM want) AS equal
FROM generate_series(1, 2) round, (VALUES ('by_int', 1), ('by_int', 2), ('by_bigint', 1)) m (model, version), generate_series(0, 11) skip,
	LATERAL (SELECT array_agg(CASE model WHEN 'by_int' THEN p * 10 - 20 ELSE p * 10 + 6000000000 END) AS ids FROM generate_series(-100, 300) p
		WHERE p <> skip) i,
	LATERAL (SELECT array_agg(item) AS got FROM tagrec_recommend(model, CASE model WHEN 'by_int' THEN 1 ELSE 5000000001 END, 100, false, ids, version => version)) g,
	LATERAL (SELECT array_agg(item) AS want FROM tagrec_recommend(model, CASE model WHEN 'by_int' THEN 1 ELSE 5000000001 END, 100, false,
		exclude => ARRAY[CASE model WHEN 'by_int' THEN skip * 10 - 20 ELSE skip * 10 + 6000000000 END], version => version)) w
GROUP BY 1, 2 ORDER BY 1, 2;
SELECT '{1,NULL,x}'::tagrec_ids, ' all '::tagrec_ids, 'all'::tagrec_ids, '{all}'::tagrec_ids, '{}'::tagrec_ids, ARRAY[1, 2]::tagrec_ids;
SELECT '42'::tagrec_ids;
SELECT 'allow'::tagrec_ids;
-- stored and read again
CREATE TABLE kept AS SELECT 1 AS i, ARRAY[6000000040, 6000000050]::tagrec_ids AS ids UNION ALL SELECT 2, 'all' UNION ALL SELECT 3, '{6000000050}';
SELECT i, (SELECT count(*) FROM tagrec_recommend('by_bigint', 5000000002, 100, false, ids)) FROM kept ORDER BY i;

-- numbers as callers have them
SELECT count(*) FROM tagrec_recommend('by_int', 1, 2::bigint);
SELECT count(*) FROM tagrec_recommend('by_int', 1, 2::smallint);
SELECT count(*) FROM tagrec_recommend('by_int', 1, '2');
SELECT count(*) FROM tagrec_recommend('by_int', 8, 5000000000, false);
-- parameters whose type is left open, and what they get
PREPARE open_all AS SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', $1, $2, $3, $4, exclude => $5, candidates_from => $6);
EXECUTE open_all(1, 3, true, '{40,60,20,-20}', '{60}', 'half');
EXECUTE open_all('1', '3', 'true', 'all', NULL, '-');
EXECUTE open_all('1', '3', 'true', NULL, NULL, '-');
PREPARE typed (bigint, bigint, bigint[], text[]) AS
	SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', $1, $2, candidates => $3, exclude => $4);
EXECUTE typed(1, 3, '{40,60,20,-20}', '{60}');
EXECUTE typed(1, 3, NULL, NULL);
PREPARE similar_ones AS SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_similar_items('by_int', $1, $2, candidates => $3, version => $4);
EXECUTE similar_ones(10, 3, 'all', NULL);
PREPARE everybody AS SELECT count(*) FROM tagrec_recommend_all('by_int', $1, candidates => $2, exclude => $3);
EXECUTE everybody(3, '{40,60}', '{40}');
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
DEALLOCATE ALL;
-- one signature each, so that nothing is ambiguous
SELECT proname, count(*) FROM pg_proc WHERE proname ~ '^tagrec_(recommend|similar)' GROUP BY 1 ORDER BY 1;

-- relations: how the column of the ids is found
CREATE TABLE two_columns (id int, item_id int);
INSERT INTO two_columns VALUES (10, 40), (NULL, NULL), (20, 60);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'two_columns');
ALTER TABLE two_columns RENAME item_id TO product;
SELECT * FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'two_columns');
ALTER TABLE two_columns DROP id;
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'two_columns');
CREATE TABLE "No columns" ();
SELECT * FROM tagrec_recommend('by_int', 1, 5, candidates_from => '"No columns"');
CREATE TABLE "Odd ""names""" ("Item ""id""" int);
INSERT INTO "Odd ""names""" VALUES (40);
SELECT item FROM tagrec_recommend('by_int', 1, 5, candidates_from => '"Odd ""names"""');
CREATE SEQUENCE numbers;
SELECT * FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'numbers');
CREATE TEMP TABLE mine AS SELECT '40' AS item_id;
SELECT item FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'mine');
INSERT INTO mine VALUES ('forty');
SELECT item FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'mine');
-- a name that does not exist is no filter that was meant
SELECT * FROM tagrec_recommend('by_int', 1, 5, candidates_from => to_regclass('missing'));
SELECT * FROM tagrec_recommend('by_int', 1, 5, exclude_from => to_regclass('missing'));
SELECT * FROM tagrec_recommend('by_int', 1, 5, candidates_from => 4294967295::oid);
-- rows of this very transaction count
BEGIN;
DELETE FROM products WHERE item_id <> 60;
SELECT item FROM tagrec_recommend('by_int', 1, 5, candidates_from => 'products');
ROLLBACK;

-- the caller reads, with the caller's rights and through the caller's policies
CREATE ROLE regress_tagrec_reader;
CREATE VIEW whose AS SELECT item_id FROM products WHERE in_stock AND current_user = 'regress_tagrec_reader';
GRANT USAGE ON SCHEMA fixture TO regress_tagrec_reader;
GRANT SELECT ON by_int_item_embedding, whose TO regress_tagrec_reader;
SELECT count(*) FROM tagrec_recommend('by_int', 1, candidates_from => 'whose');
SET ROLE regress_tagrec_reader;
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, candidates_from => 'whose');
SELECT * FROM tagrec_recommend('by_int', 1, candidates_from => 'products');
SELECT * FROM tagrec_recommend('by_int', 1, exclude_from => 'products');
RESET ROLE;
GRANT SELECT (item_id) ON products TO regress_tagrec_reader;
ALTER TABLE products ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON products TO regress_tagrec_reader USING (category = 'clocks');
SET ROLE regress_tagrec_reader;
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 100, false, candidates_from => 'products');
RESET ROLE;
ALTER TABLE products DISABLE ROW LEVEL SECURITY;
-- a relation may itself ask the model, and fail
CREATE VIEW nested AS SELECT item FROM tagrec_recommend('by_int', 1, 4);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 10, candidates_from => 'nested', exclude => '{40}');
CREATE VIEW failing AS SELECT item_id / 0 AS item_id FROM products;
SELECT * FROM tagrec_recommend('by_int', 1, candidates_from => 'failing');
SELECT count(*) FROM tagrec_recommend('by_int', 1);

-- the other queries
SELECT string_agg(item, ' ' ORDER BY rank) AS plain FROM tagrec_similar_items('by_int', 10, 100);
SELECT string_agg(item, ' ' ORDER BY rank) AS filtered FROM tagrec_similar_items('by_int', 10, 100, candidates_from => 'half', exclude => '{60}');
SELECT string_agg(user_id, ' ' ORDER BY rank) AS plain FROM tagrec_similar_users('by_int', 2, 100);
SELECT string_agg(user_id, ' ' ORDER BY rank) AS filtered FROM tagrec_similar_users('by_int', 2, 100, candidates => '{1,2,3,5}', exclude => '{3}');
SELECT count(*) FROM tagrec_similar_users('by_int', 2, candidates => NULL);
SELECT c.name, seen, count(*) AS rows, count(*) FILTER (WHERE one.item IS DISTINCT FROM al.item OR one.score <> al.score) AS different
FROM filter c, unnest(ARRAY[true, false]) seen,
	LATERAL tagrec_recommend_all('by_int', 4, seen, candidates => c.ids, exclude_from => 'one') al
	LEFT JOIN LATERAL tagrec_recommend('by_int', al.user_id, 4, seen, candidates_from => c.relation, exclude => '{40}') one ON one.rank = al.rank
GROUP BY 1, 2 ORDER BY 1, 2;

-- typed results
SELECT pg_typeof(item), count(*) FROM tagrec_similar_items_as(NULL::bigint, 'by_int', 10, 3) GROUP BY 1;
SELECT pg_typeof(user_id), count(*) FROM tagrec_similar_users_as(NULL::int, 'by_int', 2, 3) GROUP BY 1;
SELECT pg_typeof(user_id), pg_typeof(item), count(*), bool_and((user_id::text, rank, item::text, score) IN (SELECT * FROM tagrec_recommend_all('by_uuid', 2)))
FROM tagrec_recommend_all_as(NULL::uuid, NULL::uuid, 'by_uuid', 2) GROUP BY 1, 2;
SELECT pg_typeof(user_id), pg_typeof(item), count(*) FROM tagrec_recommend_all_as(NULL::varchar, NULL::bigint, 'by_int', 2) GROUP BY 1, 2;
SELECT pg_typeof(user_id), pg_typeof(item), count(*), bool_and((user_id, rank, item, score) IN (SELECT * FROM tagrec_recommend_all('by_text', 2)))
FROM tagrec_recommend_all_as(NULL::text, NULL::text, 'by_text', 2) GROUP BY 1, 2;
SELECT * FROM tagrec_similar_users_as(NULL::uuid, 'by_int', 2);

-- pages: one after the other they are the list, and ranks go on
SELECT u, size, count(*) AS rows, bool_and((p.rank, p.item, p.score) = (l.rank, l.item, l.score)) AS equal
FROM generate_series(1, 3) u, unnest(ARRAY[1, 2, 5]) size, generate_series(0, 11) page,
	LATERAL tagrec_recommend('by_int', u, size, false, after => page * size) p
	JOIN LATERAL tagrec_recommend('by_int', u, 1000, false) l ON l.rank = p.rank
GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM tagrec_recommend('by_int', 1, after => 9223372036854775807);
SELECT rank, item FROM tagrec_similar_items('by_int', 10, 2, after => 3);
SELECT * FROM tagrec_recommend('by_int', 1, after => -1);
SELECT * FROM tagrec_recommend('by_int', 1, after => NULL);

-- versions
UPDATE tagrec_model SET deployed_version = 2 WHERE model = 'by_int';
CREATE TABLE first AS SELECT (SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_recommend('by_int', 1, version => 1) r) AS recommended,
	(SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_similar_items('by_int', 10, version => 1) r) AS items,
	(SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_similar_users('by_int', 1, version => 1) r) AS users,
	(SELECT string_agg(r::text, '' ORDER BY r) FROM tagrec_recommend_all('by_int', version => 1) r) AS everything, tagrec_score('by_int', 1, 40, 1) AS score;
UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'by_int';
SELECT recommended = (SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_recommend('by_int', 1) r), items = (SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_similar_items('by_int', 10) r),
	users = (SELECT string_agg(r::text, '' ORDER BY rank) FROM tagrec_similar_users('by_int', 1) r), everything = (SELECT string_agg(r::text, '' ORDER BY r) FROM tagrec_recommend_all('by_int') r),
	score = tagrec_score('by_int', 1, 40), score = tagrec_score('by_int', 1, 40, version => 2), score = tagrec_score('by_int', '1', 40, version => 1)
FROM first;
SELECT * FROM tagrec_recommend('by_int', 1, version => 3);
SELECT * FROM tagrec_recommend('by_int', 1, version => 0);

DROP OWNED BY regress_tagrec_reader;
DROP ROLE regress_tagrec_reader;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
