-- Models of the form of neighbours: item_knn and user_knn by hand and against SQL, and a model of both forms.
SET client_min_messages = warning;
CREATE SCHEMA neighbours;
SET search_path = neighbours, public;
\set SHOW_CONTEXT never
CREATE TABLE posts (user_id int, item_id text, tag text);
INSERT INTO posts VALUES (1, 'a', 'x'), (1, 'a', 'y'), (1, 'b', 'x'), (1, 'c', 'y'), (2, 'a', 'x'), (2, 'b', 'y'),
	(3, 'b', 'x'), (3, 'c', 'x'), (3, 'd', 'y'), (4, 'd', 'x'), (4, 'e', 'x');
SELECT tagrec_train('items', 'posts', 'item_knn', '{"neighbours": 0}') > 0 AS trained;
SELECT tagrec_train('nearest', 'posts', 'item_knn', '{"neighbours": 1}') > 0 AS trained;
SELECT tagrec_train('users', 'posts', 'user_knn', '{"neighbours": 0}') > 0 AS trained;
SELECT tagrec_train('one_user', 'posts', 'user_knn', '{"neighbours": 1}') > 0 AS trained;
SELECT tagrec_train('embedded', 'posts', 'popularity') > 0 AS trained;

-- ---- what is stored. cos(a,b) = 2 / sqrt(2 * 3), cos(a,c) = 1/2, cos(b,d) = 1 / sqrt(3 * 2), cos(d,e) = 1 / sqrt(2)
SELECT version, feature, items, (SELECT array_agg(round(w::numeric, 4)) FROM unnest(weights) w) AS weights
	FROM items_neighbour_versions ORDER BY feature;
SELECT * FROM users_neighbour_versions ORDER BY feature;
SELECT user_id, embedding, seen, features, feature_values, post_ends, post_tags FROM items_user_versions ORDER BY user_id;
SELECT user_id, features, (SELECT array_agg(round(v::numeric, 4)) FROM unnest(feature_values) v) AS feature_values
	FROM users_user_versions ORDER BY user_id;
SELECT item_id, embedding FROM items_item_embedding ORDER BY item_id LIMIT 1;
-- the nearest of each item: of equal ones the first
SELECT item_id, neighbour_id, round(weight::numeric, 4) AS weight FROM nearest_item_neighbour ORDER BY item_id;
SELECT count(*), count(DISTINCT item_id) FROM items_item_neighbour;
-- from either side, the same rows
SELECT neighbour_id, round(weight::numeric, 4) AS weight FROM items_item_neighbour WHERE item_id = 'd' ORDER BY neighbour_id;
SELECT item_id, round(weight::numeric, 4) AS weight FROM items_item_neighbour WHERE neighbour_id = 'd' ORDER BY item_id;
SELECT tagrec_ascending_has(a, n) AS has, n = ANY (a) AS should FROM (VALUES ('{}'::int[], 1), ('{3}', 3), ('{3}', 2), ('{3}', 4), ('{1,3,5,7}', 1),
	('{1,3,5,7}', 7), ('{1,3,5,7}', 4), ('{1,3,5,7}', 5), ('{1,3,5,7}', -2147483648), ('{1,3,5,7}', 2147483647)) AS v (a, n)
	WHERE tagrec_ascending_has(a, n) <> (n = ANY (a)) OR n = 5;
-- user_knn has no neighbours among items, popularity none at all
SELECT (SELECT count(*) FROM users_item_neighbour) AS users, (SELECT count(*) FROM embedded_item_neighbour) AS embedded,
	(SELECT count(*) FROM embedded_neighbour_versions) AS rows, (SELECT max(cardinality(features)) FROM embedded_user_versions) AS most;
SELECT m.model, v.width, v.unit_width, v.features FROM tagrec_version v JOIN tagrec_model m USING (model_id)
	WHERE m.schema = 'neighbours' ORDER BY model COLLATE "C";

-- ---- recommending, by hand: user 2 has a and b, so c has 1/2 + 2 / sqrt(6), d 1 / sqrt(6) and e nothing
SELECT * FROM tagrec_recommend('items', 2);
SELECT * FROM tagrec_recommend('items', 2, 2, false);
SELECT * FROM tagrec_recommend('items', 2, candidates => '{e,d,nobody}');
SELECT * FROM tagrec_recommend('nearest', 2);
SELECT * FROM tagrec_recommend_as(NULL::text, 'users', 2);
SELECT * FROM tagrec_recommend('one_user', 4);
SELECT * FROM tagrec_recommend('items', 99);
SELECT tagrec_score('items', 2, 'c'), tagrec_score('nearest', 2, 'd'), tagrec_score('users', 4, 'b'), tagrec_score('items', 2, 'z');

-- ---- all of it against SQL
CREATE MATERIALIZED VIEW pair AS SELECT DISTINCT user_id AS u, item_id AS i FROM posts;
CREATE MATERIALIZED VIEW item_cosine AS
	SELECT *, rank() OVER (PARTITION BY i ORDER BY round(cosine::numeric, 6) DESC, j) AS nearness
	FROM (SELECT x.i, y.i AS j, count(*) / sqrt((SELECT count(*) FROM pair WHERE i = x.i) * (SELECT count(*) FROM pair WHERE i = y.i))
			AS cosine FROM pair x JOIN pair y USING (u) WHERE x.i <> y.i GROUP BY x.i, y.i) c;
CREATE MATERIALIZED VIEW user_cosine AS
	SELECT *, rank() OVER (PARTITION BY u ORDER BY round(cosine::numeric, 6) DESC, v) AS nearness
	FROM (SELECT x.u, y.u AS v, count(*) / sqrt((SELECT count(*) FROM pair WHERE u = x.u) * (SELECT count(*) FROM pair WHERE u = y.u))
			AS cosine FROM pair x JOIN pair y USING (i) WHERE x.u <> y.u GROUP BY x.u, y.u) c;
CREATE VIEW cell AS SELECT * FROM (SELECT DISTINCT u FROM pair) a, (SELECT DISTINCT i FROM pair) b;
CREATE FUNCTION item_score(k int) RETURNS TABLE (u int, i text, score float8) STABLE LANGUAGE sql AS $$
	SELECT u, i, coalesce(score, 0) FROM cell LEFT JOIN (SELECT p.u, c.i, sum(cosine) AS score
		FROM item_cosine c JOIN pair p ON p.i = c.j WHERE nearness <= k GROUP BY p.u, c.i) s USING (u, i)
$$;
CREATE FUNCTION user_score(k int) RETURNS TABLE (u int, i text, score float8) STABLE LANGUAGE sql AS $$
	SELECT u, i, coalesce(score, 0) FROM cell LEFT JOIN (SELECT c.u, p.i, sum(cosine) AS score
		FROM user_cosine c JOIN pair p ON p.u = c.v WHERE nearness <= k GROUP BY c.u, p.i) s USING (u, i)
$$;
-- scores that are not those of SQL, and places in lists that are not where the scores put them
CREATE FUNCTION differences(model text, score text) RETURNS TABLE (pairs bigint, scores bigint, lists bigint, all_lists bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($sql$
		WITH got AS MATERIALIZED (SELECT s.*, tagrec_score($1, u, i) AS got FROM %s s),
		ranked AS (SELECT u, i, row_number() OVER (PARTITION BY u ORDER BY got DESC, i) AS rank FROM got
			WHERE (u, i) NOT IN (SELECT * FROM pair))
		SELECT (SELECT count(*) FROM got), (SELECT count(*) FROM got WHERE (abs(score - got) < 1e-5) IS NOT TRUE),
			(SELECT count(*) FROM ranked w FULL JOIN (SELECT u, r.* FROM (SELECT DISTINCT u FROM pair) p,
				tagrec_recommend($1, u, 1000) r) g ON (g.u, g.rank, g.item) = (w.u, w.rank, w.i) WHERE w.u IS NULL OR g.u IS NULL),
			(SELECT count(*) FROM ranked w FULL JOIN tagrec_recommend_all($1, 1000) g
				ON (g.user_id, g.rank, g.item) = (w.u::text, w.rank, w.i) WHERE w.u IS NULL OR g.user_id IS NULL)
	$sql$, score) USING model;
END $$;
SELECT * FROM differences('items', 'item_score(1000)');
SELECT * FROM differences('nearest', 'item_score(1)');
SELECT * FROM differences('users', 'user_score(1000)');
SELECT * FROM differences('one_user', 'user_score(1)');
-- more of it: 60 users, 40 items
INSERT INTO posts SELECT DISTINCT 100 + u, 'i' || (u * 7 + k * k) % 40, 't' FROM generate_series(1, 60) u, generate_series(1, 2 + u % 9) k;
REFRESH MATERIALIZED VIEW pair;
REFRESH MATERIALIZED VIEW item_cosine;
REFRESH MATERIALIZED VIEW user_cosine;
SELECT tagrec_train('items', 'posts', 'item_knn', '{"neighbours": 0}') > 0 AS trained;
SELECT tagrec_train('users', 'posts', 'user_knn', '{"neighbours": 0}') > 0 AS trained;
SELECT tagrec_train('default_' || a, 'posts', a) > 0 AS trained FROM unnest('{item_knn,user_knn,popularity}'::text[]) a;
SELECT * FROM differences('items', 'item_score(1000)');
SELECT * FROM differences('users', 'user_score(1000)');
SELECT * FROM differences('default_item_knn', 'item_score(50)');
SELECT * FROM differences('default_user_knn', 'user_score(50)');
-- the previous version still answers
SELECT tagrec_rollback('items');
SELECT * FROM tagrec_recommend('items', 2);
SELECT count(*) FROM items_item_neighbour;
SELECT tagrec_deploy('items', 2);
SELECT count(*) > 14 AS more FROM items_item_neighbour;

-- arrays that are stored out of line; not every row has every item
CREATE TABLE wide_posts AS SELECT 1 AS user_id, i AS item_id, 't' AS tag FROM generate_series(1, 560) i
	UNION ALL SELECT 2, i, 't' FROM generate_series(550, 600) i;
SELECT tagrec_train('wide', 'wide_posts', 'item_knn', '{"neighbours": 0}') > 0 AS trained;
SELECT count(*) FROM wide_neighbour_versions WHERE cardinality(items) > 512;
SELECT count(*), sum(item_id * neighbour_id) AS sum FROM wide_item_neighbour;
SELECT count(*), sum(i.item_id * k.item_id) AS sum FROM wide_neighbour_versions f JOIN wide_item_versions k ON k.position = f.feature,
	unnest(f.items) p JOIN wide_item_versions i ON i.position = p;
SELECT count(*), min(neighbour_id), max(neighbour_id) FROM wide_item_neighbour WHERE item_id = 5;
SELECT count(*), min(neighbour_id), max(neighbour_id) FROM wide_item_neighbour WHERE item_id = 555;
SELECT count(*), min(neighbour_id), max(neighbour_id) FROM wide_item_neighbour WHERE item_id = 600;
SELECT tagrec_drop('wide');

-- ---- ranks of held-out pairs, against the lists
CREATE TABLE held_out AS SELECT DISTINCT 100 + u AS user_id, 'i' || (u * 11 + 5 * k) % 40 AS item_id
	FROM generate_series(1, 60) u, generate_series(1, 3) k;
DELETE FROM held_out WHERE (user_id, item_id) IN (SELECT * FROM pair);
SELECT model, bool_and(abs(e.value - want.mrr) < 1e-9) AS mrr
	FROM unnest('{items,users,default_item_knn,default_user_knn}'::text[]) model,
	LATERAL (SELECT value FROM tagrec_evaluate(model, 'held_out') WHERE metric = 'mrr') e,
	LATERAL (SELECT avg(best) AS mrr FROM (SELECT max(1.0 / r.rank) AS best FROM held_out h
		JOIN tagrec_recommend_all(model, 1000) r ON r.user_id = h.user_id::text AND r.item = h.item_id GROUP BY h.user_id) b) want
	GROUP BY model ORDER BY model COLLATE "C";
SELECT model, versus, users > 0 AS measured FROM tagrec_compare('{items,default_popularity}', 'held_out', '{10}', samples => 100);

-- ---- neighbours, the strongest first; not more than there are
SELECT * FROM tagrec_similar_items('nearest', 'b');
SELECT * FROM tagrec_similar_items('nearest', 'e', 5);
SELECT * FROM tagrec_similar_users('one_user', 2);
SELECT r.rank, r.user_id, round(r.score::numeric, 4) AS score FROM tagrec_similar_users('users', 2, 2) r;
SELECT count(*) AS neighbours, count(*) FILTER (WHERE c.i IS NULL OR s.i IS NULL OR abs(c.cosine - s.score) > 1e-6) AS wrong
	FROM item_cosine c FULL JOIN (SELECT p.i, r.* FROM (SELECT DISTINCT i FROM pair) p, tagrec_similar_items('items', p.i, 1000) r) s
	ON (s.i, s.item) = (c.i, c.j);

-- ---- what such a model cannot do
SELECT * FROM tagrec_similar_users('items', 2);
SELECT * FROM tagrec_similar_items('users', 'a');
SELECT * FROM tagrec_recommend_for_tags('items', '{x}');
SELECT tagrec_embed('items', '{x}');
SELECT * FROM tagrec_feature_tags('items', 1);
SELECT * FROM tagrec_explain('items', 2, 'c');
SELECT * FROM tagrec_explain('users', 2, 'c');
SELECT tagrec_refresh('users');
SELECT tagrec_train('x', 'posts', 'item_knn', '{"neighbours": -1}');
\set VERBOSITY terse
SELECT tagrec_train('x', 'posts', 'user_knn', '{"factors": 3}');
\set VERBOSITY default

-- ---- a model that reads tags as features: two groups of users, items and tags that never meet
CREATE TABLE grouped AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0;
SELECT tagrec_train('tagged', 'grouped', 'ease_tags') > 0 AS trained;
SELECT count(*) AS offered, count(*) FILTER (WHERE item::int / 100 = 1) AS of_the_group
	FROM tagrec_recommend_for_tags('tagged', '{g1t0,g1t2}', n => 15);
-- one tag alone: its weights, all times the same number
SELECT count(*) AS items, count(*) FILTER (WHERE abs(r.score / w.weight - first.times) < 1e-3 * first.times) AS the_same
	FROM tagrec_recommend_for_tags('tagged', '{g1t2}', n => 5) r JOIN tagged_item_versions i ON i.item_id = r.item::int
	JOIN tagged_tag_versions t ON t.tag = 'g1t2' JOIN tagged_neighbour_versions f ON f.feature = 30 + t.position
	JOIN LATERAL unnest(f.items, f.weights) w (item, weight) ON w.item = i.position,
	LATERAL (SELECT max(o.score) / (SELECT max(x) FROM unnest(f.weights) x) AS times
		FROM tagrec_recommend_for_tags('tagged', '{g1t2}', n => 1) o) first;
SELECT count(*) > 0 AS some, bool_and(tag LIKE 'g1%') AS of_the_group, bool_and(user_count > 0 OR contribution = 0) AS of_the_user
	FROM tagrec_explain('tagged', 103, 104, 100);
SELECT count(*) AS similar, count(*) FILTER (WHERE item::int / 100 = 1) AS of_the_group FROM tagrec_similar_items('tagged', 105, 3);
SELECT tagrec_embed('tagged', '{g1t0}');

-- ---- retrained in another form, renamed, dropped
SELECT tagrec_train('nearest', 'posts', 'popularity') > 0 AS trained;
SELECT count(*) FROM nearest_item_neighbour;
SELECT count(*) FROM tagrec_recommend('nearest', 2, 3);
SELECT tagrec_rollback('nearest');
SELECT count(*) FROM nearest_item_neighbour;
SELECT tagrec_rename('nearest', 'nearby');
SELECT * FROM tagrec_similar_items('nearby', 'b');
SELECT obj_description('nearby_item_neighbour'::regclass);
SELECT tagrec_drop('nearby');
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'neighbours'::regnamespace AND relname LIKE 'near%';

-- ---- relations that are not as they were
ALTER TABLE users_neighbour_versions RENAME items TO things;
\c -
SET search_path = neighbours, public;
\set SHOW_CONTEXT never
SELECT * FROM tagrec_recommend('users', 2, 1);
ALTER TABLE users_neighbour_versions RENAME things TO items;
SELECT count(*) FROM tagrec_recommend('users', 2, 1);
CREATE FUNCTION spoilt(command text, question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := 'answered';
BEGIN
	BEGIN
		EXECUTE command;
		EXECUTE question;
		RAISE EXCEPTION 'answered';
	EXCEPTION WHEN OTHERS THEN
		said := SQLERRM;
	END;
	RETURN said;
END $$;
-- each in a session of its own, which has read nothing yet
\c -
SET search_path = neighbours, public;
SELECT spoilt($$UPDATE items_neighbour_versions SET items = items || items WHERE version = 2 AND feature = 1$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$UPDATE items_neighbour_versions SET items = array_append(items, 1000) WHERE version = 2 AND feature = 1$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$UPDATE items_neighbour_versions SET items = items || 1000, weights = weights || 1::real WHERE version = 2 AND feature = 1$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$UPDATE items_neighbour_versions SET weights[1] = NULL WHERE version = 2 AND feature = 1$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$UPDATE items_neighbour_versions SET feature = 1000 WHERE version = 2 AND feature = 1$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$DELETE FROM items_neighbour_versions WHERE version = 2$$, $$SELECT tagrec_score('items', 2, 'c')$$);
SELECT spoilt($$UPDATE items_user_versions SET features = '{3,1}' WHERE user_id = 2$$, $$SELECT * FROM tagrec_recommend('items', 2)$$);
SELECT spoilt($$UPDATE items_user_versions SET features = '{1000}' WHERE user_id = 2$$, $$SELECT * FROM tagrec_recommend_all('items')$$);
SELECT spoilt($$UPDATE items_user_versions SET features = '{NULL}' WHERE user_id = 2$$, $$SELECT * FROM tagrec_recommend_all('items')$$);
SELECT spoilt($$DROP TABLE items_neighbour_v2$$, $$SELECT * FROM tagrec_recommend('items', 2)$$);
SELECT count(*) FROM tagrec_recommend('items', 2, 3);

-- ---- both forms in one: stored arrays and weights by hand, against SQL
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\set ECHO all
SELECT fixture_model('both', 'int', 'text');
-- features are tags behind items: 12 items, 3 tags; every feature has weights but for two
UPDATE tagrec_version SET features = 3 WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'both');
INSERT INTO both_neighbour_versions
	SELECT 1, f, array_agg(i ORDER BY i), array_agg(((f * 5 + i * 3) % 9 - 4) / 8.0 ORDER BY i)
	FROM generate_series(0, 14) f, generate_series(0, 11) i WHERE (f + i) % 3 > 0 AND f NOT IN (4, 12) GROUP BY f;
UPDATE both_user_versions SET
	features = seen || ARRAY(SELECT 12 + t FROM unnest(tags) t ORDER BY t),
	feature_values = array_fill(0.5::real, ARRAY[cardinality(seen)]) || coalesce(counts, '{}');
CREATE VIEW want AS
	SELECT u.user_id AS u, i.item_id AS i, i.position = ANY (u.seen) AS seen, (fixture_dot(u.embedding, i.embedding)
		+ coalesce((SELECT sum(x.value * w.weight) FROM unnest(u.features, u.feature_values) x (f, value)
			JOIN both_neighbour_versions n ON n.feature = x.f, unnest(n.items, n.weights) w (item, weight)
			WHERE w.item = i.position), 0))::real AS score
	FROM both_user_versions u, both_item_versions i;
CREATE VIEW ranked AS
	SELECT u, i, score, row_number() OVER (PARTITION BY u ORDER BY score DESC, i) AS rank FROM want WHERE NOT seen;
SELECT count(*), count(*) FILTER (WHERE tagrec_score('both', u, i) IS DISTINCT FROM score) AS wrong FROM want;
SELECT count(*) AS rows, count(*) FILTER (WHERE w.u IS NULL OR g.u IS NULL) AS wrong FROM ranked w FULL JOIN (SELECT u, r.*
	FROM (SELECT DISTINCT u FROM want) p, tagrec_recommend('both', u, 12) r) g
	ON (g.u, g.rank, g.item, g.score) = (w.u, w.rank, w.i, w.score);
SELECT count(*) AS rows, count(*) FILTER (WHERE w.u IS NULL OR g.user_id IS NULL) AS wrong FROM ranked w
	FULL JOIN tagrec_recommend_all('both', 12) g ON (g.user_id, g.rank, g.item, g.score) = (w.u::text, w.rank, w.i, w.score);
SELECT count(*) AS wrong FROM (SELECT DISTINCT u FROM want) p, tagrec_recommend('both', u, 12, false, '{i01,i03,i08}') r
	JOIN want w ON w.i = r.item WHERE w.u = p.u AND w.score IS DISTINCT FROM r.score;
CREATE TABLE test AS SELECT u AS user_id, i AS item_id FROM ranked WHERE rank % 3 = 1;
SELECT abs(value - (SELECT avg(1.0 / rank) FROM ranked WHERE rank % 3 = 1)) < 1e-12 AS mrr_pair
	FROM tagrec_evaluate('both', 'test') WHERE metric = 'mrr_pair';
-- what has a direction is compared by it
SELECT count(*) FROM tagrec_similar_items('both', 'i01', 12);

\set ECHO none
\i :drop_fixture
\set ECHO all
SET client_min_messages = error;
DROP SCHEMA neighbours CASCADE;
SELECT count(tagrec_drop(model)::text) AS dropped FROM tagrec_models WHERE schema = 'neighbours';
