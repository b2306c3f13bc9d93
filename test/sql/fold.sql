-- Folds of pairs.
CREATE FUNCTION fold_in_sql(u text, i text, seed text) RETURNS bigint LANGUAGE sql AS $$
	SELECT ('x' || substr(md5(u || ':' || i || ':' || seed), 1, 8))::bit(32)::bigint % 100
$$;
SELECT tagrec_fold(1, 2), tagrec_fold('alice', 'jazz'), tagrec_fold(1, 2, 'another'), tagrec_fold(1, 2, seed => 'tagrec');

-- every type, and pairs of them
SELECT count(*), bool_and(tagrec_fold(u, i) = fold_in_sql(u::text, i::text, 'tagrec')) FROM generate_series(-20, 20) u, generate_series(1, 40) i;
SELECT count(*), bool_and(tagrec_fold(u, i, 's') = fold_in_sql(u::text, i::text, 's'))
FROM generate_series(5000000000, 5000000020) u, (SELECT md5(n::text)::uuid FROM generate_series(1, 20) n) x (i);
SELECT bool_and(tagrec_fold(u, i) = fold_in_sql(u::text, i::text, 'tagrec'))
FROM (VALUES ('alice'::text, 1::smallint), ('Łukasz', -1), ('a:b', 0), ('', 7)) x (u, i);
SELECT tagrec_fold('7', 8) = tagrec_fold(7, '8'), tagrec_fold('7', '8') = tagrec_fold(7::numeric, 8::bigint);
-- all folds come up, none beyond
SELECT min(f), max(f), count(DISTINCT f) FROM generate_series(1, 3000) i, LATERAL tagrec_fold(i, 'x') f;
-- NULL
SELECT tagrec_fold(NULL, 1), tagrec_fold(1, NULL), tagrec_fold(1, 2, NULL), tagrec_fold(NULL::int, 'x'::text);
-- immutable: an index may use it; open parameters
CREATE TABLE pairs (u int, i text);
CREATE INDEX ON pairs ((tagrec_fold(u, i)));
PREPARE open_fold AS SELECT tagrec_fold($1, $2);
EXECUTE open_fold('1', '2');
DEALLOCATE open_fold;
DROP TABLE pairs;
DROP FUNCTION fold_in_sql;

-- the views of doc/how-to/interactions.md that split by time: every row is in one part, and none to train on is later than one
-- that is held back; the same rows whatever their order in the table, also where times are equal
CREATE SCHEMA split;
SET search_path = split, public;
CREATE TABLE orders AS SELECT u AS user_id, i AS item_id, date '2024-01-01' + (u * i % 7) * interval '1 day' AS at
	FROM generate_series(1, 20) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0 AND i <= u;
CREATE VIEW earlier AS SELECT user_id, item_id, at FROM orders WHERE at < timestamp '2024-01-05';
CREATE VIEW later AS SELECT user_id, item_id, at FROM orders WHERE at >= timestamp '2024-01-05';
CREATE VIEW ordered AS
	SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY at DESC, item_id) AS latest FROM orders;
CREATE VIEW train_part AS SELECT * FROM ordered WHERE latest > 2;
CREATE VIEW test_part AS SELECT * FROM ordered WHERE latest <= 2;
SELECT (SELECT count(*) FROM earlier) + (SELECT count(*) FROM later) = count(*) AS all_by_date, (SELECT max(at) FROM earlier) < (SELECT min(at) FROM later) AS in_order,
	(SELECT count(*) FROM train_part) + (SELECT count(*) FROM test_part) = count(*) AS all_by_user FROM orders;
SELECT bool_and(a.at <= b.at) AS in_order FROM train_part a JOIN test_part b USING (user_id);
SELECT DISTINCT count(*) FROM test_part GROUP BY user_id HAVING (SELECT count(*) FROM orders o WHERE o.user_id = test_part.user_id) >= 2;
CREATE TABLE before AS SELECT * FROM test_part;
CREATE TABLE shuffled AS SELECT * FROM orders ORDER BY md5(user_id || '.' || item_id);
TRUNCATE orders;
INSERT INTO orders SELECT * FROM shuffled;
SELECT count(*) AS differences FROM (SELECT * FROM before EXCEPT SELECT * FROM test_part) d;
SET client_min_messages = warning;
SELECT tagrec_train('by_time', 'train_part', 'popularity', tag_column => NULL) > 0 AS trained;
SELECT metric, value FROM tagrec_evaluate('by_time', 'test_part') WHERE metric IN ('users', 'unknown_users', 'seen_pairs') ORDER BY metric;
SELECT tagrec_drop('by_time');
DROP SCHEMA split CASCADE;
RESET search_path;
RESET client_min_messages;
