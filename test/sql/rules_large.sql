-- Rules over a catalogue that is searched by bounds, against queries over the whole list.
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set large_fixture :srcdir /fixture/large.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\i :large_fixture
\set ECHO all

SELECT large_model('large', 'int', 5000, 20, 25, 24);
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE TABLE list AS SELECT u, l.* FROM generate_series(0, 4) AS s (u), tagrec_recommend_as(NULL::int, 'large', s.u, 5000, false) l;
SELECT u, count(*) FROM list GROUP BY 1 ORDER BY 1;
CREATE TABLE products AS SELECT i AS item_id, md5(i::text) AS code, i % 7 AS category, 'b' || (i * 31 % 1000) / 40 AS brand FROM generate_series(0, 4999) i;
ALTER TABLE products ADD PRIMARY KEY (item_id);
ANALYZE products;

-- candidates and exclusions, from a few to nearly all
CREATE TABLE share (hundredths int, ids int[]);
INSERT INTO share SELECT h, ARRAY(SELECT item_id FROM products WHERE ('x' || left(code, 4))::bit(16)::int % 100 < h ORDER BY code) FROM unnest(ARRAY[0, 1, 6, 7, 50, 99, 100]) h;
SELECT hundredths, n, count(*) AS lists, bool_and(c IS NOT DISTINCT FROM want_c) AS candidates, bool_and(e IS NOT DISTINCT FROM want_e) AS excluded,
	bool_and(again IS NOT DISTINCT FROM want_c) AS again
FROM share, generate_series(0, 1) AS s (u), unnest(ARRAY[1, 10, 400]) n,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS c FROM tagrec_recommend_as(NULL::int, 'large', s.u, n, false, candidates => ids)) a,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS again FROM tagrec_recommend_as(NULL::int, 'large', s.u, n, false, ids, exclude => '{-1}')) g,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS e FROM tagrec_recommend_as(NULL::int, 'large', s.u, n, false, exclude => ids)) b,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS want_c FROM (SELECT * FROM list l WHERE l.u = s.u AND item = ANY (ids) ORDER BY rank LIMIT n) x) w,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS want_e FROM (SELECT * FROM list l WHERE l.u = s.u AND item <> ALL (ids) ORDER BY rank LIMIT n) x) v
GROUP BY 1, 2 ORDER BY 1, 2;

-- limits per group, looked up for the head of the list or read as a whole, by keys of any type
CREATE VIEW by_bigint AS SELECT item_id::bigint, category FROM products;
CREATE VIEW by_text AS SELECT item_id::text, category FROM products;
CREATE VIEW by_smallint AS SELECT item_id::smallint, category FROM products;
CREATE VIEW by_numeric AS SELECT item_id::numeric, category FROM products;
SELECT relation, n, most, count(*) AS lists, bool_and(got IS NOT DISTINCT FROM want) AS equal
FROM unnest('{products,by_bigint,by_smallint,by_text,by_numeric}'::regclass[]) relation, generate_series(0, 1) AS s (u), unnest(ARRAY[1, 20, 300]) n, unnest(ARRAY[2, 50]) most,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS got
		FROM tagrec_recommend_as(NULL::int, 'large', s.u, n, false, group_from => relation, group_by => 'category', max_per_group => most)) g,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS want FROM (SELECT * FROM (
			SELECT l.*, row_number() OVER (PARTITION BY category ORDER BY rank) AS place FROM list l JOIN products p ON p.item_id = l.item WHERE l.u = s.u) y
		WHERE place <= most ORDER BY rank LIMIT n) x) w
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- boosts of many items
CREATE TABLE boosts AS SELECT item_id, 1 + (item_id % 5 - 2) / 8.0 AS factor, (item_id % 3 - 1) / 64.0 AS addend FROM products WHERE item_id % 3 <> 0;
SELECT n, count(*) AS lists, bool_and(got IS NOT DISTINCT FROM want) AS equal
FROM generate_series(0, 4) AS s (u), unnest(ARRAY[1, 10, 400]) n,
	LATERAL (SELECT array_agg((item, score) ORDER BY rank) AS got FROM tagrec_recommend_as(NULL::int, 'large', s.u, n, false, boost_from => 'boosts')) g,
	LATERAL (SELECT array_agg((item, score) ORDER BY score DESC, item) AS want FROM (
		SELECT item, coalesce((CASE WHEN score < 0 THEN score / factor::float8 ELSE score * factor::float8 END + addend)::real, score) AS score
		FROM list l LEFT JOIN boosts b ON b.item_id = l.item WHERE l.u = s.u ORDER BY 2 DESC, 1 LIMIT n) x) w
GROUP BY 1 ORDER BY 1;

-- all users at once
SELECT count(*) AS rows, count(*) FILTER (WHERE (a.item, a.score) IS DISTINCT FROM (r.item, r.score)) AS different
FROM tagrec_recommend_all('large', 7, candidates_from => 'products', exclude => (SELECT ids FROM share WHERE hundredths = 50), boost_from => 'boosts') a
	LEFT JOIN LATERAL tagrec_recommend('large', a.user_id, 7, exclude => (SELECT ids FROM share WHERE hundredths = 50), boost_from => 'boosts') r
	ON r.rank = a.rank;

SET client_min_messages = warning;
DROP TABLE list, share, boosts;
\set ECHO none
\i :drop_fixture
