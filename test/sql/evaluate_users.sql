-- Metrics of each user, and what the users' lists are like: against tagrec_evaluate() and the lists themselves.
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
SELECT fixture_model('by_uuid', 'uuid');
CREATE TABLE test AS SELECT p + 1 AS user_id, q * 10 - 20 AS item_id FROM generate_series(0, 8) p, generate_series(0, 13) q WHERE tagrec_fold(p, q) % 3 = 0;
CREATE TABLE uuids AS SELECT fixture_user('uuid', user_id - 1) AS user_id, fixture_item('uuid', (item_id + 20) / 10) AS item_id FROM test;
\set SHOW_CONTEXT never

-- means of what each user has are what all have; the warnings come in the order of the plan
SET client_min_messages = error;
SELECT model, seen, count(*) AS figures, count(*) FILTER (WHERE abs(e.value - u.value) < 1e-12) AS equal,
	count(*) FILTER (WHERE abs(e.stderr - u.stderr) < 1e-12) AS errors
FROM (VALUES ('by_int', 'test'), ('by_uuid', 'uuids')) m (model, test), unnest(ARRAY[true, false]) seen,
	LATERAL (SELECT metric, k, value, stderr FROM tagrec_evaluate(model, test::regclass, '{1,3,12,50}', seen)
		UNION ALL SELECT metric, k, value, stderr FROM tagrec_evaluate_lists(model, test::regclass, '{1,3,12,50}', seen)) e
	LEFT JOIN LATERAL (SELECT metric, k, avg(value) AS value, stddev_samp(value) / sqrt(count(*)) AS stderr
		FROM tagrec_evaluate_users(model, test::regclass, '{1,3,12,50}', seen) GROUP BY 1, 2) u
		ON u.metric = e.metric AND u.k IS NOT DISTINCT FROM e.k
WHERE e.metric NOT IN ('users', 'unknown_users', 'pairs', 'unknown_pairs', 'unknown_items', 'seen_pairs', 'mrr_pair', 'coverage')
GROUP BY 1, 2 ORDER BY 1, 2;
SET client_min_messages = warning;
SELECT (SELECT value FROM tagrec_evaluate('by_int', 'test') WHERE metric = 'users') = count(DISTINCT user_id) AS users,
	(SELECT value FROM tagrec_evaluate('by_int', 'test') WHERE metric = 'pairs') = sum(value) FILTER (WHERE metric = 'pairs') AS pairs,
	(SELECT value FROM tagrec_evaluate_lists('by_int', 'test') WHERE metric = 'users') = count(DISTINCT user_id) AS lists
FROM tagrec_evaluate_users('by_int', 'test');

-- the lists, one by one: popularity is the number of posts, i + 1 of item i, among 8 users
CREATE FUNCTION like_lists(n int, seen boolean, chosen int[]) RETURNS TABLE (metric text, value float8) LANGUAGE sql AS $$
	WITH measured AS (SELECT DISTINCT user_id FROM tagrec_evaluate_users('by_int', 'test', '{1}', seen, candidates => chosen)),
	list AS (SELECT m.user_id, l.rank, i.position, i.posts, i.embedding FROM measured m, tagrec_recommend('by_int', m.user_id, n, seen, chosen) l
		JOIN by_int_item_v1 i ON i.item_id::text = l.item),
	apart AS (SELECT a.user_id, avg(1 - coalesce(fixture_dot(a.embedding[1:3], b.embedding[1:3])
			/ nullif(sqrt(fixture_dot(a.embedding[1:3], a.embedding[1:3])::float8 * fixture_dot(b.embedding[1:3], b.embedding[1:3])), 0), 0)) AS value
		FROM list a JOIN list b ON a.user_id = b.user_id AND a.rank < b.rank GROUP BY 1),
	new AS (SELECT user_id, avg(greatest(log(2, 8::numeric / posts), 0)) AS value FROM list GROUP BY 1)
	SELECT 'coverage', count(DISTINCT position)::float8 / cardinality(chosen) FROM list
	UNION ALL SELECT 'diversity', avg(value) FROM apart UNION ALL SELECT 'novelty', avg(value)::float8 FROM new
$$;
SELECT n, seen, cardinality(chosen) AS candidates, l.metric, abs(l.value - e.value) < 1e-6 AS equal
FROM unnest(ARRAY[1, 2, 5, 12]) n, unnest(ARRAY[true, false]) seen,
	(VALUES (ARRAY(SELECT generate_series(-20, 90, 10))), ('{-20,0,20,40,60,80}')) c (chosen), LATERAL like_lists(n, seen, chosen) l
	LEFT JOIN LATERAL tagrec_evaluate_lists('by_int', 'test', ARRAY[n], seen, candidates => chosen) e ON e.metric = l.metric
WHERE l.value IS NOT NULL OR e.value IS NOT NULL
ORDER BY 1, 2, 3, 4;
-- several lengths at once are those lengths one by one; a list that ends early is the list of a greater length, too
SELECT count(*), count(*) FILTER (WHERE abs(a.value - o.value) < 1e-12) AS equal
FROM tagrec_evaluate_lists('by_int', 'test', '{1,2,5,12,50}') a LEFT JOIN LATERAL tagrec_evaluate_lists('by_int', 'test', ARRAY[coalesce(a.k, 1)]) o
	ON o.metric = a.metric AND o.k IS NOT DISTINCT FROM a.k;
SELECT metric, count(*), count(k) FROM tagrec_evaluate_users('by_int', 'test', '{3,7}') WHERE user_id = '1' GROUP BY 1 ORDER BY 1;

-- a model without embeddings has no diversity to measure; another task has users only as parts of posts
UPDATE tagrec_version SET unit_width = 0 WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'by_int');
SELECT metric FROM tagrec_evaluate_lists('by_int', 'test', '{3}') ORDER BY 1;
SELECT * FROM tagrec_evaluate_lists('by_uuid', 'uuids', candidates => NULL);
SELECT count(*) > 0 FROM tagrec_evaluate_users('by_uuid', 'uuids', version => 1);
SELECT * FROM tagrec_evaluate_users('by_uuid', 'uuids', version => 2);
UPDATE tagrec_version SET task = 'tag' WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'by_int');
SELECT * FROM tagrec_evaluate_users('by_int', 'test');

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
