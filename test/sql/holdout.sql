-- Leaving one tag of each post out.
SELECT tagrec_holdout(1, 2, 'jazz'), tagrec_holdout('alice', 'kind of blue', 'jazz', 'another');

-- every type against plain md5
SELECT count(*), bool_and(tagrec_holdout(u, i, t) = md5(u || ':' || i || ':' || t || ':tagrec'))
FROM generate_series(-5, 5) u, generate_series(1, 5) i, (VALUES ('jazz'::text), (''), ('a:b'), ('Łódź')) x (t);
SELECT count(*), bool_and(tagrec_holdout(u, i, t, 's') = md5(u || ':' || i || ':' || t || ':s'))
FROM generate_series(5000000000, 5000000005) u, (SELECT md5(n::text)::uuid FROM generate_series(1, 5) n) x (i), generate_series(1, 5) t;
SELECT tagrec_holdout('7', 8, 'x') = tagrec_holdout(7, '8', 'x'), tagrec_holdout('7', '8', '9') = tagrec_holdout(7::numeric, 8::bigint, 9);
-- NULL
SELECT tagrec_holdout(NULL, 1, 'x'), tagrec_holdout(1, NULL, 'x'), tagrec_holdout(1, 2, NULL), tagrec_holdout(1, 2, 'x', NULL);
-- open parameters
PREPARE open_holdout AS SELECT tagrec_holdout($1, $2, $3);
EXECUTE open_holdout('1', '2', 'jazz');
DEALLOCATE open_holdout;

-- a split is two views: each post has its one tag in the test, the others in training
CREATE TABLE tagged AS SELECT u AS user_id, i AS item_id, 't' || t AS tag FROM generate_series(1, 10) u, generate_series(1, 10) i,
	generate_series(1, 1 + (u * i) % 4) t;
CREATE VIEW split AS SELECT *, row_number() OVER (PARTITION BY user_id, item_id
	ORDER BY tagrec_holdout(user_id, item_id, tag), tag) = 1 AS held_out FROM tagged;
SELECT held_out, count(*), count(DISTINCT (user_id, item_id)) AS posts FROM split GROUP BY held_out ORDER BY held_out;
SELECT count(*) AS others FROM split s WHERE held_out AND EXISTS (SELECT FROM tagged t WHERE (t.user_id, t.item_id) = (s.user_id, s.item_id)
	AND md5(format('%s:%s:%s:tagrec', t.user_id, t.item_id, t.tag)) < md5(format('%s:%s:%s:tagrec', s.user_id, s.item_id, s.tag)));
-- immutable: an index may use it
CREATE INDEX ON tagged (user_id, item_id, tagrec_holdout(user_id, item_id, tag));
DROP TABLE tagged CASCADE;
