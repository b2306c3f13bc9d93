-- Tags for posts: by hand, against SQL, and what is refused.
SET client_min_messages = warning;
CREATE SCHEMA rec_tags;
SET search_path = rec_tags, public;
\set SHOW_CONTEXT never
CREATE TABLE posts (user_id int, item_id bigint, tag text);
INSERT INTO posts VALUES (1, 10, 'a'), (1, 10, 'b'), (1, 20, 'a'), (1, 30, 'c'), (2, 10, 'b'), (2, 10, 'd'), (2, 20, 'b'),
	(3, 30, 'e'), (3, 30, 'a');
SELECT tagrec_train('tags', 'posts', 'tag_popular') > 0 AS trained;
SELECT task, width, features, users, items, tags, pairs FROM tagrec_version JOIN tagrec_model USING (model_id) WHERE model = 'tags';
SELECT user_id, seen, post_ends, post_tags FROM tags_user_versions ORDER BY user_id;
RESET client_min_messages;

-- ---- by hand: the user's share of a tag plus the item's
-- a known post: the tags that it has are known, and not recommended again
SELECT * FROM tagrec_recommend_tags('tags', 1, 10);
-- given others: an unknown tag is told of and does not count, one that is named twice counts once
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, given => '{c}');
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, 2, '{b,zzz,b,yyy}');
-- given none
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, 3, '{}');
-- what is given may be among the answers
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, exclude_given => false);
-- a new post of a user and an item that are known
SELECT * FROM tagrec_recommend_tags('tags', 2, 30);
-- an unknown user, an unknown item, both; NULL is nobody and nothing
SELECT * FROM tagrec_recommend_tags('tags', 99, 20);
SELECT * FROM tagrec_recommend_tags('tags', NULL, 20, 2);
SELECT * FROM tagrec_recommend_tags('tags', 2, 999, 2);
SELECT * FROM tagrec_recommend_tags('tags', 2, NULL, 2);
SELECT * FROM tagrec_recommend_tags('tags', 99, 999);
SELECT * FROM tagrec_recommend_tags('tags', NULL, NULL, 2, '{a}');
-- more than there are, none
SELECT count(*) FROM tagrec_recommend_tags('tags', 99, 20, 1000);
SELECT count(*) FROM tagrec_recommend_tags('tags', 99, 20, 0);
SELECT count(*) FROM tagrec_recommend_tags('tags', 99, 20, 1000, '{a,b,c,d,e}');

-- ---- ids of any type, open parameters, lateral joins
SELECT string_agg(tag, ' ' ORDER BY rank) FROM tagrec_recommend_tags('tags', '2', '30');
SELECT string_agg(tag, ' ' ORDER BY rank) FROM tagrec_recommend_tags('tags', 2::numeric, '30');
SELECT string_agg(tag, ' ' ORDER BY rank) FROM tagrec_recommend_tags('tags', '2', 30::smallint);
PREPARE open_tags AS SELECT string_agg(tag, ' ' ORDER BY rank) FROM tagrec_recommend_tags($1, $2, $3, $4, $5);
EXECUTE open_tags('tags', '2', '30', 2, '{b}');
DEALLOCATE open_tags;
SELECT p.user_id, p.item_id, r.tag FROM (SELECT DISTINCT user_id, item_id FROM posts) p, tagrec_recommend_tags('tags', p.user_id, p.item_id, 1) r
ORDER BY 1, 2;

-- ---- a refresh counts again, with the tags that are known
SET client_min_messages = warning;
CREATE TABLE grown AS TABLE posts;
SELECT tagrec_train('grown', 'grown', 'tag_popular') > 0 AS trained;
INSERT INTO grown VALUES (4, 40, 'e'), (4, 40, 'a'), (5, 10, 'e'), (6, 20, 'e'), (6, 20, 'new'), (1, 50, 'c');
SELECT tagrec_refresh('grown') > 0 AS refreshed;
SELECT version, refreshed_from, users, items, tags, assignments, epochs FROM tagrec_versions WHERE model = 'grown' ORDER BY version;
CREATE VIEW grown_known AS SELECT * FROM grown WHERE tag <> 'new';
SELECT tagrec_train('again', 'grown_known', 'tag_popular') > 0 AS trained;
SELECT count(*) AS tags, count(*) FILTER (WHERE refreshed IS DISTINCT FROM trained) AS different
FROM generate_series(1, 7) u, unnest('{10,20,30,40,50,60}'::int[]) i,
	LATERAL (SELECT g.score AS refreshed, a.score AS trained FROM tagrec_recommend_tags('grown', u, i, 9) g
		FULL JOIN tagrec_recommend_tags('again', u, i, 9) a USING (rank, tag)) both_lists;
SELECT string_agg(tag, ' ' ORDER BY rank) AS overall FROM tagrec_recommend_tags('grown', 99, 999);
SELECT tagrec_drop('grown'), tagrec_drop('again');
RESET client_min_messages;

-- ---- against SQL, on keys of other types: every user and item, one more of each
SET client_min_messages = warning;
CREATE TABLE many AS SELECT fixture.u AS user_id, fixture.i AS item_id, 'tag ' || (h * h / 7) % 12 AS tag
FROM (SELECT 'user ' || u AS u, md5(i::text)::uuid AS i, (u * 31 + i * 17 + t * 5) % 97 AS h
	FROM generate_series(1, 12) u, generate_series(1, 9) i, generate_series(1, 3) t) fixture WHERE h % 3 < 2 AND h % 7 < 4;
SELECT tagrec_train('many', 'many', 'tag_popular') > 0 AS trained;
CREATE FUNCTION mix(u text, i uuid, given text[]) RETURNS TABLE (rank bigint, tag text, score float8) LANGUAGE sql STABLE AS $$
	WITH a AS (SELECT DISTINCT * FROM many), u AS (SELECT * FROM a WHERE user_id = u), i AS (SELECT * FROM a WHERE item_id = i),
	own AS (SELECT coalesce(given, (SELECT array_agg(tag) FROM u WHERE item_id = i), '{}') AS tags),
	score AS (SELECT tag, CASE WHEN EXISTS (TABLE u) OR EXISTS (TABLE i)
		THEN coalesce((SELECT count(*)::float8 FROM u WHERE u.tag = t.tag) / nullif((SELECT count(*) FROM u), 0), 0)
			+ coalesce((SELECT count(*)::float8 FROM i WHERE i.tag = t.tag) / nullif((SELECT count(*) FROM i), 0), 0)
		ELSE (SELECT count(*) FROM a WHERE a.tag = t.tag) END AS score FROM (SELECT DISTINCT tag FROM a) t)
	SELECT row_number() OVER (ORDER BY score::real DESC, tag COLLATE "C"), tag, score FROM score, own WHERE tag <> ALL (own.tags)
$$;
CREATE FUNCTION different(u text, i uuid, given text[]) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT count(*) FROM mix(u, i, given) m FULL JOIN tagrec_recommend_tags('many', u, i, 100, given) r USING (rank, tag)
	WHERE (abs(m.score - r.score) < 1e-6) IS NOT TRUE
$$;
CREATE TABLE asked AS SELECT u, i FROM (SELECT DISTINCT user_id FROM many UNION ALL SELECT 'nobody') x (u),
	(SELECT DISTINCT item_id FROM many UNION ALL SELECT md5('nothing')::uuid) y (i) WHERE md5(u || i) < '6' OR u = 'nobody';
SELECT count(*) AS posts, sum(different(u, i, NULL)) AS different, sum(different(u, i, '{}')) AS given_none,
	sum(different(u, i, '{tag 2,tag 5}')) AS given_two FROM asked;
-- in a parallel plan
SET jit = off;
SELECT sum(score)::numeric(10,3) AS sum_in_sql FROM asked, mix(u, i, NULL) WHERE rank <= 3 \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(*), sum(r.score)::numeric(10,3) = :sum_in_sql AS right FROM asked, tagrec_recommend_tags('many', u, i, 3) r;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET jit;

-- ---- a small cache holds one model at a time, and answers stay right
SET tagrec.cache_size = 1;
SELECT string_agg(m.tag, ' ') AS many, string_agg(t.tag, ' ') AS tags FROM generate_series(1, 3) n,
	tagrec_recommend_tags('many', 'user ' || n, NULL, 1) m, tagrec_recommend_tags('tags', n, NULL::text, 1) t;
RESET tagrec.cache_size;
-- a new version answers at once, and the one before after a rollback
INSERT INTO posts SELECT u, 20, 'new' FROM generate_series(1, 9) u;
SELECT tag FROM tagrec_recommend_tags('tags', NULL, 20, 1);
SELECT tagrec_train('tags', 'posts', 'tag_popular') > 0 AS trained;
SELECT tag FROM tagrec_recommend_tags('tags', NULL, 20, 1);
SELECT tagrec_rollback('tags');
SELECT tag FROM tagrec_recommend_tags('tags', NULL, 20, 1);
SELECT tagrec_train('items', 'posts', 'popularity', device => 'cpu') > 0 AS trained;
RESET client_min_messages;

-- ---- what is refused
SELECT * FROM tagrec_recommend_tags(NULL, 1, 10);
SELECT * FROM tagrec_recommend_tags('nowhere', 1, 10);
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, NULL);
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, -1);
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, 1, '{a,NULL}');
SELECT * FROM tagrec_recommend_tags('tags', 1, 10, exclude_given => NULL);
SELECT * FROM tagrec_recommend_tags('tags', 'bob', 10);
-- a model for another task
SELECT * FROM tagrec_recommend_tags('items', 1, 10);
SELECT * FROM tagrec_recommend('tags', 1);
SELECT * FROM tagrec_recommend_as(NULL::int, 'tags', 1);
SELECT * FROM tagrec_recommend_all('tags');
SELECT * FROM tagrec_recommend_for_tags('tags', '{a}');
SELECT tagrec_score('tags', 1, 10);
SELECT tagrec_embed('tags', '{a}');
SELECT * FROM tagrec_explain('tags', 1, 10);
SELECT * FROM tagrec_feature_tags('tags', 1);
SELECT * FROM tagrec_similar_items('tags', 10);
SELECT * FROM tagrec_similar_users('tags', 1);
-- rows that were changed
SELECT version AS deployed FROM tagrec_versions WHERE model = 'tags' AND deployed \gset
UPDATE tags_user_versions SET post_ends = '{1,2}' WHERE user_id = 1 AND version = :deployed;
SELECT * FROM tagrec_recommend_tags('tags', 1, 10);
UPDATE tags_user_versions SET post_ends = '{2,1,4}' WHERE user_id = 1 AND version = :deployed;
SELECT * FROM tagrec_recommend_tags('tags', 1, 10);
UPDATE tags_user_versions SET post_tags = '{0,1,7,2}' WHERE user_id = 1 AND version = :deployed;
SELECT * FROM tagrec_recommend_tags('tags', 1, 10);
UPDATE tags_user_versions SET post_tags = '{0,1,0,2}', post_ends = '{2,3,4}', counts = '{1}' WHERE user_id = 1 AND version = :deployed;
SELECT * FROM tagrec_recommend_tags('tags', 1, 10);
UPDATE tags_item_versions SET tags = '{1,0,3}' WHERE item_id = 10 AND version = :deployed;
SELECT * FROM tagrec_recommend_tags('tags', 2, 10);

SET client_min_messages = warning;
SELECT tagrec_drop(model) FROM tagrec_models WHERE schema = 'rec_tags';
DELETE FROM tagrec_job WHERE model IN ('tags', 'many', 'items');
DROP SCHEMA rec_tags CASCADE;
