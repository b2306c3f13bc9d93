-- Ranking quality: by hand, and against SQL over the stored arrays.
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
SELECT fixture_model('mixed keys', 'int', 'text');
SELECT fixture_model('other', 'int');
UPDATE other_item_v1 SET embedding = ARRAY[embedding[2], embedding[3], embedding[1], embedding[4]];
RESET client_min_messages;
\set SHOW_CONTEXT never

-- ---- by hand. Of user 1's list, the places 2 and 5 and an item that nobody knows; of user 2's, the first place; user 8 has
-- everything already; nobody knows user 99.
SELECT string_agg(item, ' ' ORDER BY rank) AS user_1 FROM tagrec_recommend('by_int', 1, 12);
SELECT string_agg(item, ' ' ORDER BY rank) AS user_2 FROM tagrec_recommend('by_int', 2, 12);
CREATE TABLE hand (user_id int, item_id int, tag text);
INSERT INTO hand VALUES (1, 90, 'a'), (1, 90, 'b'), (1, 50, 'a'), (1, 999, 'a'), (2, 20, 'a'), (8, 0, 'a'), (99, 20, 'a');
SELECT metric, k, round(value::numeric, 6) AS value, round(stderr::numeric, 6) AS stderr
FROM tagrec_evaluate('by_int', 'hand', '{1,2,5}');

SET client_min_messages = error;
WITH expected (metric, k, value, stderr) AS (VALUES
	('users', NULL, 2, NULL), ('unknown_users', NULL, 1, NULL), ('pairs', NULL, 4, NULL), ('unknown_pairs', NULL, 1, NULL),
	('unknown_items', NULL, 1, NULL), ('seen_pairs', NULL, 1, NULL),
	('mrr', NULL, (1 / 2.0 + 1) / 2, (1 - 1 / 2.0) / 2),
	-- residuals of the ratio: .7 - .425 * 3 and 1 - .425
	('mrr_pair', NULL, (1 / 2.0 + 1 / 5.0 + 0 + 1) / 4, .575 / 2),
	-- user 1: of 9 candidates 7 are others, 1, 3 and all of which come before the relevant ones
	('auc', NULL, (1 - 11 / 21.0 + 1) / 2, 11 / 21.0 / 2),
	('map', 1, (0 + 1) / 2.0, 1 / 2.0), ('map', 2, (1 / 4.0 + 1) / 2, (1 - 1 / 4.0) / 2), ('map', 5, (3 / 10.0 + 1) / 2, (1 - 3 / 10.0) / 2),
	('precision', 1, (0 + 1) / 2.0, 1 / 2.0), ('recall', 1, (0 + 1) / 2.0, 1 / 2.0), ('f1', 1, (0 + 1) / 2.0, 1 / 2.0),
	('ndcg', 1, (0 + 1) / 2.0, 1 / 2.0), ('hit', 1, (0 + 1) / 2.0, 1 / 2.0),
	('precision', 2, (1 / 2.0 + 1 / 2.0) / 2, 0), ('recall', 2, (1 / 3.0 + 1) / 2, (1 - 1 / 3.0) / 2),
	('f1', 2, (2 / 5.0 + 2 / 3.0) / 2, (2 / 3.0 - 2 / 5.0) / 2), ('hit', 2, 1, 0),
	('ndcg', 2, (ln(2) / ln(3) / (1 + ln(2) / ln(3)) + 1) / 2, (1 - ln(2) / ln(3) / (1 + ln(2) / ln(3))) / 2),
	('precision', 5, (2 / 5.0 + 1 / 5.0) / 2, (2 / 5.0 - 1 / 5.0) / 2), ('recall', 5, (2 / 3.0 + 1) / 2, (1 - 2 / 3.0) / 2),
	('f1', 5, (4 / 8.0 + 2 / 6.0) / 2, (4 / 8.0 - 2 / 6.0) / 2), ('hit', 5, 1, 0),
	('ndcg', 5, ((ln(2) / ln(3) + ln(2) / ln(6)) / (1 + ln(2) / ln(3) + 1 / 2.0) + 1) / 2,
		(1 - (ln(2) / ln(3) + ln(2) / ln(6)) / (1 + ln(2) / ln(3) + 1 / 2.0)) / 2))
SELECT count(*) AS rows, count(*) FILTER (WHERE g.metric IS NULL OR e.metric IS NULL OR abs(g.value - e.value) > 1e-9
	OR (g.stderr IS NULL) <> (e.stderr IS NULL) OR abs(g.stderr - e.stderr) > 1e-9) AS different
FROM tagrec_evaluate('by_int', 'hand', '{1,2,5}') g FULL JOIN expected e ON g.metric = e.metric AND g.k IS NOT DISTINCT FROM e.k;
RESET client_min_messages;

-- with what users have among the candidates: now user 8 is measured, and -20, 20 and 60 come into user 1's list
SELECT string_agg(item, ' ' ORDER BY rank) AS user_1 FROM tagrec_recommend('by_int', 1, 12, false);
SELECT metric, k, round(value::numeric, 6) AS value FROM tagrec_evaluate('by_int', 'hand', '{2}', exclude_seen => false)
WHERE metric IN ('users', 'pairs', 'seen_pairs', 'mrr', 'recall');

-- one pair: no standard error; a list that is longer than there are items
CREATE TEMP TABLE single (who text, what bigint);
INSERT INTO single VALUES (1, 50);
SELECT metric, k, value, stderr FROM tagrec_evaluate('by_int', 'single', '{5,1000}', user_column => 'who', item_column => 'what')
WHERE metric IN ('users', 'pairs', 'mrr', 'mrr_pair', 'recall', 'precision');
-- lengths out of order
SELECT metric, k, value FROM tagrec_evaluate('by_int', 'single', '{5,1,5,2}', true, 'who', 'what') WHERE metric = 'hit';
-- by default four of them
SELECT DISTINCT k FROM tagrec_evaluate('by_int', 'single', user_column => 'who', item_column => 'what') ORDER BY k;

-- ---- against a query over the stored arrays
CREATE FUNCTION brute(model text, test regclass, n int, exclude_seen boolean, version int DEFAULT NULL,
	candidates text[] DEFAULT NULL)
RETURNS TABLE (metric text, k int, value float8) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY EXECUTE format($sql$
		WITH test AS (SELECT DISTINCT user_id::text AS u, item_id::text AS i FROM %s),
		score AS (SELECT u.user_id::text AS u, i.item_id::text AS i, i.position, fixture_dot(u.embedding, i.embedding) AS s,
				i.position = ANY (u.seen) AS seen
			FROM %I u, %I i WHERE u.version = $3 AND i.version = $3),
		list AS (SELECT u, i, row_number() OVER (PARTITION BY u ORDER BY s DESC, position) AS rank FROM score
			WHERE NOT ($2 AND seen) AND ($4 IS NULL OR i = ANY ($4))),
		pair AS (SELECT t.u, rank, rank <= $1 AS found, row_number() OVER (PARTITION BY t.u ORDER BY rank) AS nth,
				(SELECT count(*) FROM list l WHERE l.u = t.u) AS candidates FROM test t LEFT JOIN list USING (u, i)
			WHERE t.u IN (SELECT u FROM score) AND ($4 IS NULL OR t.i = ANY ($4)) AND NOT EXISTS (SELECT FROM score s WHERE $2 AND s.seen AND s.u = t.u AND s.i = t.i)),
		person AS (SELECT u, count(*)::float8 AS n, count(*) FILTER (WHERE found)::float8 AS hits,
				coalesce(sum(1 / ln(rank + 1)) FILTER (WHERE found), 0) AS gain, coalesce(1.0 / min(rank), 0) AS reciprocal,
				coalesce(sum(1.0 / rank), 0) AS reciprocals, coalesce(sum(nth::float8 / rank) FILTER (WHERE found), 0) AS precisions,
				coalesce(sum(rank - nth), 0) AS wrong, count(*) - count(rank) AS unranked, max(candidates) - count(rank) AS others
			FROM pair GROUP BY u),
		figure AS (SELECT *, precisions / least(n, $1) AS map, 1 - (wrong + unranked * others)::float8 / nullif(n * others, 0) AS auc,
				hits / $1 AS precision, hits / n AS recall,
				gain / (SELECT sum(1 / ln(place + 1)) FROM generate_series(1, $1) place WHERE place <= n) AS ndcg FROM person)
		SELECT x.metric, x.k, x.value::float8 FROM (SELECT avg(precision) AS p, avg(recall) AS r, avg(ndcg) AS ndcg, avg(map) AS map, avg(auc) AS auc,
				avg(CASE WHEN hits > 0 THEN 2 * precision * recall / (precision + recall) ELSE 0 END) AS f1,
				avg((hits > 0)::int) AS hit, avg(reciprocal) AS mrr, sum(reciprocals) / sum(n) AS mrr_pair FROM figure) AS m,
			LATERAL (VALUES ('precision', $1, p), ('recall', $1, r), ('f1', $1, f1), ('ndcg', $1, ndcg), ('hit', $1, hit),
				('map', $1, map), ('auc', NULL, auc), ('mrr', NULL, mrr), ('mrr_pair', NULL, mrr_pair)) AS x (metric, k, value)$sql$,
		test, model || '_user_versions', model || '_item_versions')
	USING n, exclude_seen, coalesce(brute.version, (SELECT deployed_version FROM tagrec_model m WHERE m.model = brute.model)), candidates;
END $$;
-- pairs by chance, of known and of unknown users and items, in the key types of the models and as text
CREATE FUNCTION draw(user_type regtype, item_type regtype, salt int) RETURNS TABLE (u text, i text) LANGUAGE sql AS $$
	SELECT fixture_user(user_type, p), fixture_item(item_type, q) FROM generate_series(0, 7) p, generate_series(0, 13) q
	WHERE tagrec_fold(p, q, salt::text) % 3 = 0
	UNION ALL SELECT CASE WHEN user_type = 'text'::regtype THEN 'nobody' ELSE fixture_user(user_type, 77) END,
		fixture_item(item_type, 3)
$$;
SET client_min_messages = error;
SELECT fixture_version('by_int', 2, 'int', 'int', 'popularity', '{}', 4, 3);
CREATE TABLE drawn_by_int AS SELECT u::int AS user_id, i::int AS item_id FROM draw('int', 'int', 1);
CREATE TABLE drawn_by_text AS SELECT u AS user_id, i AS item_id FROM draw('text', 'text', 2);
CREATE TABLE drawn_by_uuid AS SELECT u::uuid AS user_id, i AS item_id FROM draw('uuid', 'uuid', 3);
CREATE TABLE drawn_mixed AS SELECT u::numeric AS user_id, i::varchar AS item_id FROM draw('int', 'text', 4);
CREATE VIEW repeated AS SELECT item_id, now() AS at, user_id::text FROM drawn_by_int, generate_series(1, 3);
SELECT model, test, count(*) AS figures, count(*) FILTER (WHERE g.value IS NULL OR b.value IS NULL OR abs(g.value - b.value) > 1e-12) AS different
FROM (VALUES ('by_int', 'drawn_by_int'), ('by_int', 'repeated'), ('by_text', 'drawn_by_text'), ('by_uuid', 'drawn_by_uuid'),
		('mixed keys', 'drawn_mixed'), ('other', 'drawn_by_int'), ('by_int', 'hand')) AS m (model, test),
	unnest(ARRAY[true, false]) AS exclude, unnest(ARRAY[1, 2, 3, 7, 12, 50]) AS length,
	LATERAL brute(model, test, length, exclude) AS b
	LEFT JOIN LATERAL tagrec_evaluate(model, test::regclass, ARRAY[length], exclude) AS g
		ON g.metric = b.metric AND g.k IS NOT DISTINCT FROM b.k
GROUP BY model, test ORDER BY model, test;
-- all lengths at once, and a version that is not deployed
SELECT v AS version, count(*) AS figures, count(*) FILTER (WHERE g.value IS NULL OR abs(g.value - b.value) > 1e-12) AS different,
	round(avg(b.value)::numeric, 3) AS mean
FROM unnest(ARRAY[1, 2]) AS v, unnest(ARRAY[1, 4, 9]) AS length, LATERAL brute('by_int', 'drawn_by_int', length, true, v) AS b
	LEFT JOIN LATERAL tagrec_evaluate('by_int', 'drawn_by_int', '{1,4,9}', version => v) AS g
		ON g.metric = b.metric AND g.k IS NOT DISTINCT FROM b.k
GROUP BY v ORDER BY v;
-- among candidates, known ones and unknown ones, each once however often it is named
SELECT model, test, count(*) AS figures, count(*) FILTER (WHERE g.value IS NULL OR abs(g.value - b.value) > 1e-12) AS different,
	round(avg(b.value)::numeric, 3) AS mean
FROM (VALUES ('by_int', 'drawn_by_int', 'int'), ('by_text', 'drawn_by_text', 'text'), ('by_uuid', 'drawn_by_uuid', 'uuid')) AS m (model, test, type),
	LATERAL (SELECT array_agg(fixture_item(type::regtype, p)) AS candidates FROM unnest('{1,2,4,5,9,11,12,13,40,2}'::int[]) p) AS c,
	unnest(ARRAY[true, false]) AS exclude, unnest(ARRAY[1, 3, 12]) AS length,
	LATERAL brute(model, test, length, exclude, NULL, candidates) AS b
	LEFT JOIN LATERAL tagrec_evaluate(model, test::regclass, ARRAY[length], exclude, candidates => c.candidates) AS g
		ON g.metric = b.metric AND g.k IS NOT DISTINCT FROM b.k
GROUP BY model, test ORDER BY model, test;
RESET client_min_messages;
SELECT metric, k, round(value::numeric, 6) AS value FROM tagrec_evaluate('by_int', 'hand', '{1,2}', candidates => '{+90, 50, 999, 20, 7}')
WHERE metric IN ('users', 'unknown_users', 'pairs', 'unknown_pairs', 'unknown_items', 'seen_pairs', 'mrr', 'recall');
SELECT string_agg(item, ' ' ORDER BY rank) AS user_1 FROM tagrec_recommend('by_int', 1, 12, candidates => '{+90, 50, 999, 20, 7}');
-- of one item alone
SELECT metric, value FROM tagrec_evaluate('by_int', 'hand', '{1}', candidates => '{50}') WHERE metric IN ('users', 'pairs', 'hit', 'mrr');
SELECT value, versus_value, users FROM tagrec_compare('{by_int,other}', 'hand', '{1}', 'mrr', candidates => '{90,50,20}');
-- in arrays of any type, NULLs among them or not; and all of them
SELECT value, versus_value, users FROM tagrec_compare('{by_int,other}', 'hand', '{1}', 'mrr', candidates => ARRAY[90, 50, NULL, 20]);
SELECT count(*) FROM tagrec_evaluate('by_int', 'hand', '{1,2}', candidates => '{+90, 50, 999, 20, 7}') a
	JOIN tagrec_evaluate('by_int', 'hand', '{1,2}', candidates => ARRAY[90, 50, 999, 20, 7]::numeric[]) b
	ON (a.metric, coalesce(a.k, 0), a.value) = (b.metric, coalesce(b.k, 0), b.value);
SELECT count(*) FROM tagrec_evaluate('by_int', 'hand', '{1,2}') a
	JOIN tagrec_evaluate('by_int', 'hand', '{1,2}', candidates => 'all') b
	ON (a.metric, coalesce(a.k, 0), a.value) = (b.metric, coalesce(b.k, 0), b.value);
-- of more items than are scored at once
SET client_min_messages = error;
CREATE TABLE long_list AS SELECT u AS user_id, (u * u * 31 + k * k * 17) % 700 AS item_id, 't' AS tag FROM generate_series(1, 40) u, generate_series(1, 60) k;
SELECT tagrec_train('long', 'long_list', 'popularity') > 0 AS trained;
CREATE TABLE long_test AS SELECT DISTINCT u AS user_id, 300 + u * 7 % 400 AS item_id FROM generate_series(1, 40) u;
SELECT abs(e.value - b.value) < 1e-12 AS same, b.value > 0 AS found
FROM (SELECT array_agg(i::text) AS candidates FROM generate_series(260, 699, 3) i) AS c,
	LATERAL tagrec_evaluate('long', 'long_test', candidates => c.candidates) AS e,
	LATERAL (SELECT avg(coalesce(1.0 / r.rank, 0)) AS value FROM long_test t
		LEFT JOIN LATERAL tagrec_recommend('long', t.user_id, 1000, candidates => c.candidates) AS r ON r.item = t.item_id::text
		WHERE t.item_id::text = ANY (c.candidates) AND (t.user_id, t.item_id) NOT IN (SELECT user_id, item_id FROM long_list)) AS b
WHERE e.metric = 'mrr';
SELECT tagrec_drop('long');
RESET client_min_messages;
-- an embedding that is not a number is not what was stored
SET client_min_messages = warning;
SELECT fixture_model('holes', 'int');
UPDATE holes_item_v1 SET embedding = '{NaN,0,0,0}' WHERE item_id = 10;
SELECT string_agg(item, ' ' ORDER BY rank) AS user_1 FROM tagrec_recommend('holes', 1, 12);
CREATE TABLE with_hole AS VALUES (1, 10), (1, 40);
ALTER TABLE with_hole RENAME column1 TO user_id;
ALTER TABLE with_hole RENAME column2 TO item_id;
SELECT metric, k, value FROM tagrec_evaluate('holes', 'with_hole', '{100}') WHERE metric IN ('mrr', 'recall', 'unknown_pairs');
UPDATE holes_item_v1 SET embedding = '{0,0,0,0}' WHERE item_id = 10;
RESET client_min_messages;

-- ---- comparing
SET client_min_messages = error;
SELECT model, versus, metric, k, abs(difference - (value - versus_value)) < 1e-12 AS difference, low <= difference AND difference <= high AS inside,
	users FROM tagrec_compare('{by_int,other}', 'drawn_by_int', '{2,5}');
-- the figures are those of each model alone where they know the same users and have seen the same
SELECT c.metric, c.k, abs(c.value - a.value) < 1e-12 AS value, abs(c.versus_value - b.value) < 1e-12 AS versus_value
FROM unnest(ARRAY['ndcg', 'recall', 'precision', 'f1', 'hit', 'map', 'mrr', 'mrr_pair']) AS m (metric),
	LATERAL tagrec_compare('{by_int,other}', 'drawn_by_int', '{3}', m.metric, samples => 100) AS c
	JOIN tagrec_evaluate('by_int', 'drawn_by_int', '{3}') AS a ON a.metric = c.metric
	JOIN tagrec_evaluate('other', 'drawn_by_int', '{3}') AS b ON b.metric = c.metric
ORDER BY c.metric;
-- the seed decides
SELECT count(DISTINCT c.low) AS intervals, count(*) AS seeds FROM unnest(ARRAY[5, 5, 5, -6]) AS s,
	LATERAL tagrec_compare('{by_int,other}', 'drawn_by_int', seed => s) AS c;
-- the other way round it is the opposite; three models are three pairs
SELECT abs(a.difference + b.difference) < 1e-12 AS difference, abs(a.low + b.high) < 1e-12 AS interval
FROM tagrec_compare('{by_int,other}', 'drawn_by_int') a, tagrec_compare('{other,by_int}', 'drawn_by_int') b;
SELECT model, versus FROM tagrec_compare('{by_int,other,holes}', 'drawn_by_int', samples => 100);
-- no difference, no doubt
SELECT fixture_model('twin', 'int');
SELECT fixture_version('twin', 2, 'int', 'int', 'popularity', '{}', 4, 3);
SELECT model, versus, metric, k, difference, low, high, users FROM tagrec_compare('{by_int,twin}', 'drawn_by_int');
-- a pair that one of them had in training counts for none, and a user that one does not know neither
UPDATE other_user_v1 SET seen = '{0,1,2,3,4,5,6,7,8,9,10}' WHERE user_id = 3;
DELETE FROM other_user_v1 WHERE user_id = 2;
SELECT users, (SELECT value FROM tagrec_evaluate('by_int', 'drawn_by_int') WHERE metric = 'users') AS of_the_first
FROM tagrec_compare('{by_int,other}', 'drawn_by_int');
RESET client_min_messages;
SELECT users FROM tagrec_compare('{by_int,other}', 'drawn_by_int', samples => 100);
SELECT users FROM tagrec_compare('{by_int,other}', 'drawn_by_int', samples => 100, exclude_seen => false);

-- ---- what cannot be evaluated
SELECT * FROM tagrec_evaluate('music', 'hand');
SELECT * FROM tagrec_evaluate(NULL, 'hand');
SELECT * FROM tagrec_evaluate('by_int', NULL);
SELECT * FROM tagrec_evaluate('by_int', 'hand', exclude_seen => NULL);
SELECT * FROM tagrec_evaluate('by_int', 'hand', version => 7);
SELECT * FROM tagrec_evaluate('by_int', 'hand', '{}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', NULL);
SELECT * FROM tagrec_evaluate('by_int', 'hand', '{10,0}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', '{-5}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', '{10,NULL}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', (SELECT array_agg(k) FROM generate_series(1, 1001) k));
SELECT * FROM tagrec_evaluate('by_int', 'single');
SELECT * FROM tagrec_evaluate('by_int', 'hand', item_column => 'thing');
SELECT * FROM tagrec_evaluate('by_int', 'hand', candidates => NULL);
SELECT * FROM tagrec_evaluate('by_int', 'hand', candidates => (SELECT array_agg(item_id) FROM hand WHERE false));
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', candidates => NULL);
SELECT * FROM tagrec_evaluate('by_int', 'hand', candidates => '{NULL}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', candidates => '{ten}');
SELECT * FROM tagrec_evaluate('by_int', 'hand', candidates => '{}');
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', candidates => '{30,40}');
CREATE INDEX drawn_index ON drawn_by_int (user_id);
SELECT * FROM tagrec_evaluate('by_int', 'drawn_index');
SELECT * FROM tagrec_evaluate('by_int', 'hand', user_column => 'tag');
CREATE TABLE nulls (user_id int, item_id int);
SELECT * FROM tagrec_evaluate('by_int', 'nulls');
INSERT INTO nulls VALUES (1, 10), (1, NULL), (NULL, NULL), (2, NULL);
SELECT * FROM tagrec_evaluate('by_int', 'nulls');
-- nothing known; nothing left
CREATE TABLE strangers AS SELECT 100 AS user_id, 10 AS item_id UNION ALL SELECT 101, 11;
SELECT * FROM tagrec_evaluate('by_int', 'strangers');
CREATE TABLE strange_things AS SELECT 1 AS user_id, 11 AS item_id;
SELECT * FROM tagrec_evaluate('by_int', 'strange_things');
CREATE TABLE old AS SELECT 8 AS user_id, 10 AS item_id UNION ALL SELECT 8, 20;
SELECT * FROM tagrec_evaluate('by_int', 'old');
SELECT * FROM tagrec_compare('{by_int,other}', 'old');
-- a model for another task
UPDATE tagrec_version SET task = 'tag' WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'holes');
SELECT * FROM tagrec_evaluate('holes', 'hand');
SELECT * FROM tagrec_compare('{by_int,holes}', 'hand');
-- models, metric and samples of a comparison
SELECT * FROM tagrec_compare('{by_int}', 'hand');
SELECT * FROM tagrec_compare(NULL, 'hand');
SELECT * FROM tagrec_compare('{by_int,NULL}', 'hand');
SELECT * FROM tagrec_compare('{by_int,by_int}', 'hand');
SELECT * FROM tagrec_compare((SELECT array_agg('model ' || i) FROM generate_series(1, 1001) i), 'hand');
SELECT * FROM tagrec_compare('{by_int,music}', 'hand');
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', metric => 'auc');
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', metric => NULL);
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', samples => 0);
SELECT * FROM tagrec_compare('{by_int,other}', 'hand', seed => NULL);

-- ---- privileges: the model's, as for every query, and the caller's on the test relation
CREATE ROLE regress_tagrec_judge;
GRANT USAGE ON SCHEMA fixture TO regress_tagrec_judge;
SET ROLE regress_tagrec_judge;
SELECT * FROM tagrec_evaluate('by_int', 'drawn_by_int');
RESET ROLE;
GRANT SELECT ON by_int_item_embedding, twin_item_embedding TO regress_tagrec_judge;
SET ROLE regress_tagrec_judge;
SELECT * FROM tagrec_evaluate('by_int', 'drawn_by_int');
SELECT * FROM tagrec_compare('{by_int,other}', 'drawn_by_int');
RESET ROLE;
GRANT SELECT (user_id, item_id) ON drawn_by_int TO regress_tagrec_judge;
SET ROLE regress_tagrec_judge;
SET client_min_messages = error;
SELECT count(*) FROM tagrec_evaluate('by_int', 'drawn_by_int');
SELECT count(*) FROM tagrec_compare('{by_int,twin}', 'drawn_by_int');
RESET ROLE;
-- row security is the caller's, too
ALTER TABLE drawn_by_int ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_user ON drawn_by_int TO regress_tagrec_judge USING (user_id = 1);
SET ROLE regress_tagrec_judge;
SELECT value FROM tagrec_evaluate('by_int', 'drawn_by_int') WHERE metric = 'users';
RESET ROLE;
SELECT value FROM tagrec_evaluate('by_int', 'drawn_by_int') WHERE metric = 'users';
DROP OWNED BY regress_tagrec_judge;
DROP ROLE regress_tagrec_judge;

-- ---- LATERAL; an error that is caught leaves the session as it was
RESET client_min_messages;
CREATE TABLE fresh AS SELECT 1 AS user_id, 10 AS item_id UNION SELECT 2, 90;
SELECT m, value FROM unnest(ARRAY['by_int', 'twin']) AS m, LATERAL tagrec_evaluate(m, 'fresh', '{5}') AS e WHERE metric = 'pairs';
DO $$
BEGIN
	PERFORM tagrec_evaluate('by_int', 'strangers');
EXCEPTION WHEN data_exception THEN
	RAISE NOTICE 'caught: %', (SELECT value FROM tagrec_evaluate('by_int', 'fresh', '{5}') WHERE metric = 'pairs');
END $$;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
