-- Boosts, diversity, limits per group and pages, against queries over the plain list.
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
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE TABLE products (item_id int PRIMARY KEY, category text, brand text);
INSERT INTO products SELECT p * 10 - 20, CASE p % 3 WHEN 0 THEN 'clocks' WHEN 1 THEN 'radios' END, 'b' || p / 4 FROM generate_series(0, 11) p;

-- boosts: items that are and are not among the best, up and down, by a factor, an addend or both; some seen, some unknown
CREATE TABLE boosts (item_id bigint, factor numeric, addend real);
INSERT INTO boosts VALUES (40, 0.25, 0), (-20, 3, 0.125), (70, 1, 0.5), (80, 2, -0.25), (999, 5, 5), (10, 1, 0), (NULL, 1, 0);
CREATE FUNCTION boosted(u int, n int, exclude_seen boolean) RETURNS TABLE (rank bigint, item text, score real) LANGUAGE sql AS $$
	SELECT row_number() OVER (ORDER BY x.score DESC, x.item::int), x.item, x.score FROM (
		SELECT l.item, CASE WHEN b.item_id IS NULL THEN l.score
			ELSE (CASE WHEN l.score < 0 THEN l.score / b.factor::float8 ELSE l.score * b.factor::float8 END + b.addend)::real END
		FROM fixture_recommend('by_int', u::text, 1000, exclude_seen) l LEFT JOIN boosts b ON b.item_id = l.item::int) AS x (item, score)
	ORDER BY 1 LIMIT n
$$;
SELECT seen, count(*) AS lists, bool_and(want IS NOT DISTINCT FROM by_relation) AS relation, bool_and(want IS NOT DISTINCT FROM by_arrays) AS arrays
FROM generate_series(1, 8) u, unnest(ARRAY[1, 2, 5, 100]) n, unnest(ARRAY[true, false]) seen,
	LATERAL (SELECT array_agg((rank::int, item, score) ORDER BY rank) AS want FROM boosted(u, n, seen)) w,
	LATERAL (SELECT array_agg((rank, item, score) ORDER BY rank) AS by_relation FROM tagrec_recommend('by_int', u, n, seen, boost_from => 'boosts')) r,
	LATERAL (SELECT array_agg((rank, item, score) ORDER BY rank) AS by_arrays FROM tagrec_recommend('by_int', u, n, seen,
		boost => (SELECT array_agg(item_id ORDER BY factor) FROM boosts), boost_factor => (SELECT array_agg(factor ORDER BY factor) FROM boosts),
		boost_addend => (SELECT array_agg(addend ORDER BY factor) FROM boosts))) a
GROUP BY 1 ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE (al.item, al.score) IS DISTINCT FROM (b.item, b.score)) AS different
FROM tagrec_recommend_all('by_int', 5, boost_from => 'boosts') al LEFT JOIN LATERAL boosted(al.user_id::int, 5, true) b ON b.rank = al.rank;
-- one number for all; the items alone; both forms together; boosts do not bring back what a filter leaves out
SELECT * FROM tagrec_recommend('by_int', 1, 3, boost => '{70,80}', boost_factor => '{4}');
SELECT count(*) FROM (SELECT item, score FROM tagrec_recommend('by_int', 1, boost => '{70,80}') EXCEPT SELECT item, score FROM tagrec_recommend('by_int', 1)) d;
SELECT * FROM tagrec_recommend('by_int', 1, 3, boost => '{70,70}', boost_addend => '{1}', boost_from => 'boosts');
SELECT * FROM tagrec_recommend('by_int', 1, 3, candidates => '{70,40}', exclude => '{70}', boost => '{70,10}', boost_addend => '{9}');
SELECT * FROM tagrec_recommend('by_int', 1, 2, boost => NULL, boost_factor => '{1}');
SELECT * FROM tagrec_similar_items('by_int', 10, 2, boost => '{80}', boost_addend => '{1}');
-- a column alone; other columns beside it
CREATE VIEW factors AS SELECT item_id, factor, 'x' AS reason FROM boosts;
CREATE VIEW addends AS SELECT item_id AS product, addend FROM boosts;
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 4, boost_from => 'factors');
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 4, boost_from => 'addends');
-- numbers that are none
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_factor => '{NaN}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_factor => '{Infinity}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_factor => '{0}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_factor => '{-1}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_addend => '{-Infinity}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_addend => '{NULL}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40}', boost_addend => NULL);
SELECT * FROM tagrec_recommend('by_int', 1, boost => '{40,50,60}', boost_factor => '{1,2}');
SELECT * FROM tagrec_recommend('by_int', 1, boost => 'all');
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => NULL);
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => 'products');
INSERT INTO boosts VALUES (50, NULL, 0);
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => 'boosts');
UPDATE boosts SET factor = 1, addend = 'NaN' WHERE item_id = 50;
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => 'boosts');
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 4, boost_from => 'factors');
DELETE FROM boosts WHERE item_id = 50;
CREATE VIEW words AS SELECT item_id, 'much' AS factor FROM boosts;
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => 'words');

-- groups: at most so many of each in the list; items without a group are not limited
CREATE FUNCTION limited(u int, most int, by text, n int) RETURNS text[] LANGUAGE sql AS $$
	SELECT array_agg(item ORDER BY place) FROM (SELECT item, row_number() OVER (ORDER BY rank) AS place FROM (
		SELECT rank, item, g IS NULL OR row_number() OVER (PARTITION BY g ORDER BY rank) <= most AS stays
		FROM (SELECT l.rank, l.item, CASE by WHEN 'category' THEN p.category ELSE p.brand END AS g
			FROM fixture_recommend('by_int', u::text, 1000, false) l LEFT JOIN products p ON p.item_id = l.item::int) x) y WHERE stays) z
	WHERE place <= n
$$;
SELECT by, most, count(*) AS lists, bool_and(want IS NOT DISTINCT FROM got) AS equal, bool_and(want IS NOT DISTINCT FROM pages) AS pages
FROM generate_series(1, 8) u, unnest(ARRAY[1, 2, 3, 100]) most, unnest(ARRAY['category', 'brand']) by, unnest(ARRAY[1, 3, 100]) n,
	LATERAL limited(u, most, by, n) want,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS got
		FROM tagrec_recommend('by_int', u, n, false, group_from => 'products', group_by => by, max_per_group => most)) g,
	LATERAL (SELECT array_agg(item ORDER BY rank) AS pages FROM generate_series(0, 11) page,
		tagrec_recommend('by_int', u, 1, false, group_from => 'products', group_by => by, max_per_group => most, after => page)
		WHERE page < n) p
GROUP BY 1, 2 ORDER BY 1, 2;
-- several groups of one item; a group named twice; groups of any type; a relation of two columns
CREATE TABLE labels (item_id int, label int);
INSERT INTO labels VALUES (10, 1), (10, 2), (10, 1), (90, 2), (30, 3), (40, NULL);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 3, group_from => 'labels', max_per_group => 1);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 3, group_from => 'labels', group_by => 'item_id', max_per_group => 1);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 3, group_from => 'labels', group_by => 'label', max_per_group => 2);
SELECT * FROM tagrec_recommend('by_int', 1, 3, group_from => 'products', max_per_group => 1);
SELECT * FROM tagrec_recommend('by_int', 1, 3, group_from => 'products', group_by => 'colour', max_per_group => 1);
SELECT * FROM tagrec_recommend('by_int', 1, 3, group_from => 'products', group_by => 'brand');
SELECT * FROM tagrec_recommend('by_int', 1, 3, group_by => 'brand');
SELECT * FROM tagrec_recommend('by_int', 1, 3, max_per_group => 1);
SELECT * FROM tagrec_recommend('by_int', 1, 3, group_from => 'products', group_by => 'brand', max_per_group => 0);

-- diversity: every item in its turn is the best choice, or as good
CREATE FUNCTION cosine(a int, b int) RETURNS float8 LANGUAGE sql AS $$
	SELECT coalesce(greatest(sum(x * y) / nullif(sqrt(sum(x * x)) * sqrt(sum(y * y)), 0), 0), 0)
	FROM unnest((fixture_item_embedding((a + 20) / 10, 1))[1:3]::float8[], (fixture_item_embedding((b + 20) / 10, 1))[1:3]::float8[]) e (x, y)
$$;
CREATE FUNCTION well_chosen(u int, list int[], pool int, d float8) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	good boolean = true;
BEGIN
	CREATE TEMP TABLE p ON COMMIT DROP AS SELECT item::int AS item, (score - min(score) OVER ()) / (max(score) OVER () - min(score) OVER ()) AS relevance
		FROM fixture_recommend('by_int', u::text, pool, false);
	FOR i IN 1 .. pool LOOP
		good = good AND (SELECT max(v) FILTER (WHERE item = list[i]) >= max(v) - 1e-5 FROM (
			SELECT item, (1 - d) * relevance - d * coalesce((SELECT max(cosine(p.item, c)) FROM unnest(list[1:i - 1]) c), 0)
			FROM p WHERE item <> ALL (list[1:i - 1])) AS x (item, v));
	END LOOP;
	DROP TABLE p;
	RETURN good AND list[pool + 1:] = (SELECT coalesce(array_agg(item::int ORDER BY rank), '{}') FROM fixture_recommend('by_int', u::text, 100, false)
		WHERE rank > pool);
END $$;
SELECT d, pool, bool_and(well_chosen(u, list, pool, d)) AS well_chosen, bool_and(list = pages) AS pages, bool_and(cardinality(list) = 12) AS whole
FROM unnest(ARRAY[1, 2, 3, 6]) u, unnest(ARRAY[0, 0.25, 0.5, 1]) d, unnest(ARRAY[4, 12]) pool,
	LATERAL (SELECT array_agg(item::int ORDER BY rank) AS list FROM tagrec_recommend('by_int', u, 100, false, diversity => d, diversity_pool => pool)) l,
	LATERAL (SELECT array_agg(item::int ORDER BY rank) AS pages FROM generate_series(0, 5) page,
		tagrec_recommend('by_int', u, 2, false, diversity => d, diversity_pool => pool, after => page * 2)) g
GROUP BY 1, 2 ORDER BY 1, 2;
-- twins are as similar as can be, a user who points nowhere has no order to lose
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 4, false);
SELECT string_agg(item, ' ' ORDER BY rank) FROM tagrec_recommend('by_int', 1, 4, false, diversity => 0.6);
SELECT count(*), count(DISTINCT item) FROM tagrec_recommend('by_int', 5, 12, false, diversity => 1);
SELECT * FROM tagrec_recommend('by_int', 1, diversity => 1.5);
SELECT * FROM tagrec_recommend('by_int', 1, diversity => 'NaN');
SELECT * FROM tagrec_recommend('by_int', 1, diversity => NULL);
SELECT * FROM tagrec_recommend('by_int', 1, diversity => 0.5, diversity_pool => 0);
SELECT * FROM tagrec_recommend('by_int', 1, diversity => 0.5, diversity_pool => 1001);

-- all of it at once: filters, then boosts, then groups, then diversity, then the page
SELECT rank, item FROM tagrec_recommend('by_int', 1, 2, false, candidates_from => 'products', exclude => '{90}', boost => '{80}', boost_addend => '{5}',
	group_from => 'products', group_by => 'brand', max_per_group => 2, diversity => 0.5);
SELECT rank, item FROM tagrec_recommend('by_int', 1, 2, false, candidates_from => 'products', exclude => '{90}', boost => '{80}', boost_addend => '{5}',
	group_from => 'products', group_by => 'brand', max_per_group => 2, diversity => 0.5, after => 2);
SELECT count(*) FROM tagrec_recommend('by_int', 1, 100, candidates => '{}', boost => '{80}', group_from => 'labels', max_per_group => 2, diversity => 0.5);
SELECT count(*) FROM tagrec_similar_users('by_int', 1, 3, diversity => 0.5, boost => '{2}', boost_factor => '{2}');

-- for everybody, all rules make the lists that they make for each user
CREATE VIEW half AS SELECT item_id FROM products WHERE item_id % 20 = 0;
CREATE TABLE ruled AS SELECT * FROM unnest(ARRAY[0, 0.4]) diversity,
	(VALUES (1, 'products'::regclass, 'brand'), (2, 'products', 'brand'), (NULL, '-', NULL)) g (most, grouped, by),
	unnest(ARRAY[0, 3]) page, unnest(ARRAY[true, false]) seen, unnest(ARRAY['-'::regclass, 'half']) chosen;
CREATE VIEW everybody AS SELECT ruled, al.* FROM ruled, LATERAL tagrec_recommend_all('by_int', 4, seen, candidates_from => chosen,
	boost_from => 'boosts', diversity => diversity, diversity_pool => 6, group_from => grouped, group_by => by, max_per_group => most, after => page) al;
CREATE VIEW each_user AS SELECT ruled, u::text, r.* FROM ruled, generate_series(1, 8) u, LATERAL tagrec_recommend('by_int', u, 4, seen, candidates_from => chosen,
	boost_from => 'boosts', diversity => diversity, diversity_pool => 6, group_from => grouped, group_by => by, max_per_group => most, after => page) r;
SELECT diversity, most, count(*) > 50 AS many FROM (SELECT (ruled).* FROM everybody) x GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS different FROM ((TABLE everybody EXCEPT ALL TABLE each_user) UNION ALL (TABLE each_user EXCEPT ALL TABLE everybody)) x;
SELECT * FROM tagrec_recommend_all('by_int', 1, diversity => 2);
SELECT * FROM tagrec_recommend_all('by_int', 1, max_per_group => 1);
SELECT min(rank), max(rank), count(*) FROM tagrec_recommend_all_as(NULL::int, NULL::int, 'by_int', 2, after => 2);

-- a hostile relation is read as the caller, who loses nothing by it
CREATE ROLE regress_tagrec_reader;
GRANT USAGE, CREATE ON SCHEMA fixture TO regress_tagrec_reader;
GRANT SELECT ON by_int_item_embedding TO regress_tagrec_reader;
SET ROLE regress_tagrec_reader;
SELECT * FROM tagrec_recommend('by_int', 1, boost_from => 'boosts');
SELECT * FROM tagrec_recommend('by_int', 1, group_from => 'labels', max_per_group => 1);
CREATE FUNCTION grab() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'run by %', current_user; RETURN 40; END $$;
CREATE VIEW trap AS SELECT grab() AS item_id, 2 AS factor;
SELECT item FROM tagrec_recommend('by_int', 1, 1, boost_from => 'trap');
RESET ROLE;
DROP VIEW trap;
DROP FUNCTION grab;
DROP OWNED BY regress_tagrec_reader;
DROP ROLE regress_tagrec_reader;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
