-- Neighbours and single scores.
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

-- the angle between the first three numbers; nothing is like what points nowhere
CREATE FUNCTION cosine(a real[], b real[]) RETURNS float8 LANGUAGE sql AS $$
	SELECT coalesce(sum(x::float8 * y) / nullif(sqrt(sum(x::float8 * x)) * sqrt(sum(y::float8 * y)), 0), 0)
	FROM unnest(a[1:3], b[1:3]) AS p (x, y)
$$;
SELECT rank, item, round(score::numeric, 4) AS score FROM tagrec_similar_items('by_text', 'i02', 3);
SELECT rank, user_id, round(score::numeric, 4) AS score FROM tagrec_similar_users('by_int', 2, 3);

SELECT count(*) AS neighbours, max(abs(s.score - cosine(a.embedding, b.embedding))) < 1e-6 AS scores,
	bool_and(s.item <> a.item_id::text) AS without_itself
FROM by_int_item_v1 a, LATERAL tagrec_similar_items('by_int', a.item_id, 100) s JOIN by_int_item_v1 b ON b.item_id::text = s.item;
SELECT count(*) AS neighbours, max(abs(s.score - cosine(a.embedding, b.embedding))) < 1e-6 AS scores,
	bool_and(s.user_id <> a.user_id) AS without_itself
FROM by_text_user_v1 a, LATERAL tagrec_similar_users('by_text', a.user_id, 100) s JOIN by_text_user_v1 b ON b.user_id = s.user_id;
-- by score, then by key
SELECT count(*) FILTER (WHERE NOT (score < before OR (score = before AND item > item_before))) AS out_of_order FROM (
	SELECT s.*, lag(score) OVER w AS before, lag(s.item::int) OVER w AS item_before, s.item::int AS item_number
	FROM by_int_item_v1 a, LATERAL tagrec_similar_items('by_int', a.item_id, 100) s
	WINDOW w AS (PARTITION BY a.item_id ORDER BY s.rank)) x (rank, item_text, score, before, item_before, item);

SELECT count(*) FROM tagrec_similar_items('by_int', 10, 0);
SELECT count(*) FROM tagrec_similar_items('by_int', 11);
SELECT count(*) FROM tagrec_similar_items('by_int', NULL);
SELECT count(*) FROM tagrec_similar_users('by_text', 'nobody');
SELECT count(*) FROM tagrec_similar_items('by_int', 10);

-- the score of a recommendation is the score of the pair
SELECT count(*), bool_and(r.score = tagrec_score('by_int', u.user_id, r.item)) FROM by_int_user_v1 u,
	LATERAL tagrec_recommend('by_int', u.user_id, 100, false) r;
SELECT tagrec_score('by_int', 99, 10) IS NULL, tagrec_score('by_int', 1, 11) IS NULL, tagrec_score('by_int', NULL, 10) IS NULL,
	tagrec_score('by_int', 1, NULL) IS NULL;

-- users and items side by side when the cache holds but one matrix
SET tagrec.cache_size = 0;
SELECT (SELECT user_id FROM tagrec_similar_users('by_text', 'bob', 1)), (SELECT item FROM tagrec_similar_items('by_text', 'i02', 1)),
	(SELECT user_id FROM tagrec_similar_users('by_text', 'bob', 1));
RESET tagrec.cache_size;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
