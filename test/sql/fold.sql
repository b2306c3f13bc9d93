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
