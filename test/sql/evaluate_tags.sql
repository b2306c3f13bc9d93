-- How well tags are ranked: by hand, and against the lists that tagrec_recommend_tags() gives.
SET client_min_messages = warning;
CREATE SCHEMA eval_tags;
SET search_path = eval_tags, public;
\set SHOW_CONTEXT never
CREATE TABLE posts (user_id int, item_id bigint, tag text);
INSERT INTO posts VALUES (1, 10, 'a'), (1, 10, 'b'), (1, 20, 'a'), (1, 30, 'c'), (2, 10, 'b'), (2, 10, 'd'), (2, 20, 'b'),
	(3, 30, 'e'), (3, 30, 'a');
SELECT tagrec_train('tags', 'posts', 'tag_popular') > 0 AS trained;
RESET client_min_messages;

-- ---- by hand. Post (1, 10): of c, d, e the second one. (2, 30): of b, a, c, d, e the second one. (9, 20), of an unknown user: the
-- first one of a, b, and a tag that nobody knows.
CREATE TABLE hand (user_id int, item_id int, tag text);
INSERT INTO hand VALUES (1, 10, 'd'), (1, 10, 'd'), (2, 30, 'a'), (9, 20, 'a'), (9, 20, 'zzz');
SELECT metric, k, round(value::numeric, 6) AS value, round(stderr::numeric, 6) AS stderr FROM tagrec_evaluate('tags', 'hand', '{1,2}');
-- what a post has stands in training
INSERT INTO hand VALUES (1, 10, 'a');
SELECT metric, value FROM tagrec_evaluate('tags', 'hand', '{1}') WHERE metric IN ('seen_assignments', 'assignments', 'posts', 'mrr');
SELECT metric, value FROM tagrec_evaluate('tags', 'hand', '{1}', exclude_seen => false) WHERE metric IN ('seen_assignments', 'assignments', 'posts', 'mrr');
-- one post: no standard error; other columns, of other types; no post that was given a tag
CREATE TEMP TABLE single (who text, what numeric, label varchar);
INSERT INTO single VALUES (2, 30, 'b');
SELECT metric, k, value, stderr FROM tagrec_evaluate('tags', 'single', '{1}', user_column => 'who', item_column => 'what', tag_column => 'label');

-- ---- leave one tag out, against the lists
SET client_min_messages = warning;
CREATE TABLE assigned AS SELECT DISTINCT 'user ' || u AS user_id, i AS item_id, 'tag ' || (h * h / 7 + t) % 12 AS tag
FROM (SELECT u, i, t, (u * 31 + i * 17 + t * 5) % 97 AS h FROM generate_series(1, 14) u, generate_series(1, 9) i, generate_series(1, 4) t) x
WHERE h % 7 < 4;
CREATE VIEW split AS SELECT *, row_number() OVER (PARTITION BY user_id, item_id
	ORDER BY tagrec_holdout(user_id, item_id, tag), tag) = 1 AS held_out FROM assigned;
CREATE VIEW train AS SELECT user_id, item_id, tag FROM split WHERE NOT held_out;
CREATE VIEW test AS SELECT user_id, item_id, tag FROM split WHERE held_out;
INSERT INTO assigned VALUES ('nobody', 3, 'tag 4'), ('user 1', 99, 'tag 5'), ('nobody', 98, 'tag 1');
SELECT tagrec_train('m', 'train', 'tag_popular') > 0 AND tagrec_train('by_user', 'train', 'tag_popular', '{"by": "user"}') > 0 AS trained;
CREATE FUNCTION expected(model text, n int) RETURNS TABLE (metric text, k int, value float8) LANGUAGE sql STABLE AS $$
	WITH r AS (SELECT t.*, coalesce(l.rank, 1000000) AS rank, EXISTS (SELECT FROM train o WHERE (o.user_id, o.item_id) = (t.user_id, t.item_id)) AS given
		FROM test t LEFT JOIN LATERAL tagrec_recommend_tags(model, t.user_id, t.item_id, 1000) l USING (tag)),
	s AS (SELECT '' AS prefix, * FROM r UNION ALL SELECT 'given_', * FROM r WHERE given)
	SELECT s.prefix || m.metric, m.k, avg(m.value) FROM s, LATERAL (VALUES ('mrr', NULL, 1.0 / rank), ('mrr_pair', NULL, 1.0 / rank),
		('hit', n, (rank <= n)::int), ('map', n, CASE WHEN rank <= n THEN 1.0 / rank ELSE 0 END), ('recall', n, (rank <= n)::int), ('precision', n, (rank <= n)::int / n::float8),
		('f1', n, (rank <= n)::int * 2.0 / (n + 1)), ('ndcg', n, CASE WHEN rank <= n THEN ln(2) / ln(rank + 1) ELSE 0 END)) m (metric, k, value)
	GROUP BY 1, 2
$$;
SELECT model, n, count(*) AS figures, count(*) FILTER (WHERE (abs(e.value - x.value) < 1e-9) IS NOT TRUE) AS different
FROM (VALUES ('m'), ('by_user')) models (model), (VALUES (1), (3), (8)) lengths (n), LATERAL (
	SELECT e.value, x.value FROM expected(model, n) x FULL JOIN (SELECT * FROM tagrec_evaluate(model, 'test', ARRAY[n])
		WHERE metric ~ '(mrr|mrr_pair|hit|recall|precision|f1|ndcg|map)$') e ON e.metric = x.metric AND e.k IS NOT DISTINCT FROM x.k) f (e, x),
	LATERAL (SELECT f.e AS value) e, LATERAL (SELECT f.x AS value) x
GROUP BY model, n ORDER BY model, n;
SELECT metric, value FROM tagrec_evaluate('m', 'test', '{1}') WHERE metric ~ 'posts|assignments|unknown';
SELECT count(*) AS posts, count(*) FILTER (WHERE EXISTS (SELECT FROM train o WHERE (o.user_id, o.item_id) = (t.user_id, t.item_id))) AS given FROM test t;
-- models against each other, on posts
SELECT c.model, c.versus, c.metric, c.k, c.users = (SELECT count(*) FROM test) AS on_posts,
	c.difference BETWEEN c.low AND c.high AS inside, abs(c.value - c.versus_value - c.difference) < 1e-12 AS differ,
	abs(c.value - e.value) < 1e-12 AS as_evaluated
FROM tagrec_compare('{m,by_user}', 'test', '{3}', tag_column => 'tag') c, tagrec_evaluate('m', 'test', '{3}') e WHERE e.metric = 'ndcg';

-- ---- validation while it trains: of a share of the posts with two tags or more, one
SELECT tagrec_train('v', 'assigned', 'tag_popular', '{"validation": 0.5, "metric": "hit", "metric_k": 3}') > 0 AS trained;
CREATE FUNCTION held_out(u text, i int) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT tag FROM assigned WHERE user_id = u AND item_id = i ORDER BY tagrec_holdout(user_id, item_id, tag, 'validation:1') LIMIT 1
$$;
CREATE TABLE valid AS SELECT user_id, item_id, held_out(user_id, item_id) AS tag FROM assigned
	WHERE tagrec_fold(user_id, item_id, 'validation:1') < 50 GROUP BY 1, 2 HAVING count(*) > 1;
CREATE TABLE rest AS TABLE assigned EXCEPT TABLE valid;
SELECT count(*) > 20 AS many FROM valid;
SELECT tagrec_train('w', 'rest', 'tag_popular', '{"validation_source": "valid", "metric": "hit", "metric_k": 3}') > 0 AS trained;
SELECT a.metric, a.metric_value = b.metric_value AS as_another_relation, abs(a.metric_value - e.value) < 1e-9 AS as_evaluated,
	a.assignments = (SELECT count(*) FROM assigned) AS all_stored
FROM tagrec_versions a, tagrec_versions b, tagrec_evaluate('w', 'valid', '{3}') e WHERE a.model = 'v' AND b.model = 'w' AND e.metric = 'hit';
-- assignments that cannot be validated on are left out
INSERT INTO valid VALUES ('stranger', 1, 'tag 1'), ('user 1', 1, 'no such tag'), ('user 1', 12345, 'tag 1');
INSERT INTO valid SELECT * FROM rest WHERE user_id = 'user 2' AND item_id = 2;
SELECT tagrec_train('w', 'rest', 'tag_popular', '{"validation_source": "valid", "metric": "hit", "metric_k": 3}') > 0 AS trained;
SELECT count(DISTINCT metric_value) AS figures FROM tagrec_versions WHERE model = 'w';
-- ---- a version stays until it is measured, though it was replaced and would have been taken away meanwhile: here, as the test is read
SELECT deployed_version AS before FROM tagrec_models WHERE model = 'm' \gset
CREATE FUNCTION train_again() RETURNS boolean LANGUAGE sql AS $$ SELECT tagrec_train('m', 'train', 'tag_popular', '{"keep_versions": 0}') > 0 $$;
CREATE VIEW long AS SELECT * FROM test WHERE (SELECT train_again());
-- what the relation calls need not be parallel safe
DO $$ BEGIN PERFORM set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); END $$;
SELECT metric, value FROM tagrec_evaluate('m', 'long', '{1}') WHERE metric = 'posts';
SELECT count(*) FROM tagrec_compare('{by_user,m}', 'long');
DO $$ BEGIN PERFORM set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query'); END $$;
SELECT deployed_version - :before AS newer FROM tagrec_models WHERE model = 'm';
RESET client_min_messages;

-- ---- what is refused
CREATE TABLE lonely AS SELECT u AS user_id, 1 AS item_id, 'x' AS tag FROM generate_series(1, 5) u;
SELECT tagrec_train('x', 'lonely', 'tag_popular', '{"validation": 0.5}');
SELECT tagrec_train('x', 'assigned', 'tag_popular', '{"validation": 0.001}');
CREATE TABLE nowhere AS SELECT user_id, item_id, 'other' AS tag FROM assigned;
SELECT tagrec_train('x', 'assigned', 'tag_popular', '{"validation_source": "nowhere"}') IS NULL;
SELECT tagrec_train('x', 'assigned', 'tag_popular', '{"validation_source": "assigned"}') IS NULL;
CREATE VIEW pairs AS SELECT user_id, item_id FROM assigned;
SELECT tagrec_train('x', 'assigned', 'tag_popular', '{"validation_source": "pairs"}');
SELECT * FROM tagrec_evaluate('m', 'pairs');
SELECT * FROM tagrec_evaluate('m', 'test', tag_column => 'label');
SELECT * FROM tagrec_evaluate('m', 'nowhere');
CREATE VIEW strangers AS SELECT 'x' || user_id AS user_id, item_id + 1000 AS item_id, tag FROM assigned;
SELECT * FROM tagrec_evaluate('m', 'strangers');
SELECT * FROM tagrec_evaluate('m', 'train');
CREATE TABLE holes AS SELECT user_id, item_id, NULL::text AS tag FROM assigned;
SELECT * FROM tagrec_evaluate('m', 'holes');
SELECT * FROM tagrec_compare('{m,by_user}', 'train');
SET client_min_messages = warning;
SELECT tagrec_train('items', 'train', 'popularity') > 0 AS trained;
RESET client_min_messages;
SELECT * FROM tagrec_evaluate('items', 'test', tag_column => 'tag');
SELECT * FROM tagrec_evaluate('m', 'test', candidates => '{1}');
SELECT * FROM tagrec_compare('{m,items}', 'test');

SET client_min_messages = warning;
SELECT count(tagrec_drop(model)) FROM tagrec_models WHERE schema = 'eval_tags';
DELETE FROM tagrec_job WHERE model IN ('tags', 'm', 'by_user', 'v', 'w', 'x', 'items');
DROP SCHEMA eval_tags CASCADE;
