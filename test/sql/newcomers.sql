-- Users who were not trained on: from what the source has now, from items that a caller names, or the popular items; and users
-- for an item, and what their items contribute.
SET client_min_messages = warning;
CREATE SCHEMA newcomers;
SET search_path = newcomers, public;
\set SHOW_CONTEXT never
-- two groups of users, items and tags that never meet; users 12 and 112 come after the training
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 'g' || g || 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15 + g) i WHERE (u + i) % 3 > 0;
CREATE INDEX ON posts (user_id);
CREATE TABLE source AS SELECT * FROM posts WHERE user_id % 100 < 12;
CREATE INDEX ON source (user_id);
SELECT m, tagrec_train(m, 'source', m, options::jsonb) > 0 AS trained
	FROM (VALUES ('ease', '{"lambda": 5}'), ('ease_tags', '{"lambda": 5}'), ('item_knn', '{}'), ('user_knn', '{}'), ('ials', '{"factors": 8}'),
		('hdlpr_ns', '{"epochs": 5, "layers": "8"}'), ('hybrid', '{"epochs": 5, "layers": "8"}'), ('popularity', '{}'), ('tag_cosine', '{}'),
		('blend', '{"members": "ease_tags; ials factors=8; bpr epochs=1", "weights": "1 1 0"}'), ('bpr', '{"epochs": 1}')) v(m, options);
RESET client_min_messages;
CREATE VIEW models AS SELECT unnest('{ease,ease_tags,item_knn,user_knn,ials,hdlpr_ns,hybrid,popularity,tag_cosine,blend}'::text[]) AS m;

-- ---- fresh: somebody who was trained on is himself
SELECT m, bool_and(abs(s.score - f.score) <= 1e-4 * abs(s.score)) AS same, count(*) AS items
	FROM models, LATERAL (SELECT item, score FROM tagrec_recommend(m, 107, 5)) s
		FULL JOIN LATERAL (SELECT item, score FROM tagrec_recommend(m, 107, 5, fresh => true)) f USING (item)
	WHERE m NOT IN ('ials', 'blend', 'user_knn', 'popularity', 'hdlpr_ns', 'hybrid') GROUP BY m ORDER BY m COLLATE "C";
-- he who comes later has nothing until he has a row
SELECT count(*) FROM models, tagrec_recommend(m, 112, 5, fresh => true);
INSERT INTO source SELECT * FROM posts WHERE user_id IN (12, 112);
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100 AND m NOT IN ('hdlpr_ns', 'hybrid')) AS of_the_group, bool_and(r.item::int NOT IN (SELECT item_id
		FROM source WHERE user_id = 112)) AS not_seen
	FROM models, tagrec_recommend(m, 112, 5, fresh => true) r GROUP BY m ORDER BY m COLLATE "C";
SELECT count(*) AS by_training FROM models, tagrec_recommend(m, 112, 5);
SELECT count(*) AS typed, pg_typeof(min(item)) FROM tagrec_recommend_as(NULL::int, 'ease', 112, fresh => true);
SELECT bool_and(tagrec_score('ease', 112, item::int, fresh => true) = score) AS scores FROM tagrec_recommend('ease', 112, fresh => true);
SELECT tagrec_score('ease', 112, 105) IS NULL AS unknown;
-- items and tags count once, however often the source has them; what the model does not know, not at all
SELECT array_agg(item ORDER BY rank) AS before FROM tagrec_recommend('ease_tags', 112, fresh => true) \gset
INSERT INTO source SELECT * FROM posts WHERE user_id = 112;
INSERT INTO source VALUES (112, 999, 'nothing'), (112, NULL, 'g1t1'), (112, 101, NULL);
SELECT array_agg(item ORDER BY rank) = :'before' AS same FROM tagrec_recommend('ease_tags', 112, fresh => true);
-- seen is what he has now
DELETE FROM source WHERE user_id = 112 AND item_id = 101;
SELECT bool_or(item = '101') AS offered FROM tagrec_recommend('ease', 112, fresh => true);
SELECT count(*) AS offered_seen FROM tagrec_recommend('ease', 112, exclude_seen => false, candidates => '{102}', fresh => true);
-- through the index
INSERT INTO source SELECT 1000 + x / 5, 103, 'g1t1' FROM generate_series(1, 20000) x;
ANALYZE source;
BEGIN;
SELECT count(*) > 0 AS offered FROM tagrec_recommend('ease', 112, fresh => true);
SELECT pg_stat_get_xact_numscans('source_user_id_idx'::regclass) > 0 AS by_index;
COMMIT;
DELETE FROM source WHERE user_id >= 1000;
SELECT count(*) FROM tagrec_recommend('bpr', 112, fresh => true);
SELECT count(*) FROM tagrec_recommend('ease', 112, fresh => NULL);

-- as the caller
CREATE ROLE regress_newcomer;
GRANT USAGE ON SCHEMA newcomers TO regress_newcomer;
GRANT SELECT ON ease_item_embedding TO regress_newcomer;
SET ROLE regress_newcomer;
SELECT count(*) AS stored FROM tagrec_recommend('ease', 107, 5);
SELECT count(*) FROM tagrec_recommend('ease', 107, 5, fresh => true);
SELECT tagrec_score('ease', 107, 105, fresh => true);
SELECT count(*) FROM tagrec_explain_items('ease', 107, 105, fresh => true);
RESET ROLE;
GRANT SELECT ON source TO regress_newcomer;
ALTER TABLE source ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON source TO regress_newcomer USING (user_id = 107);
SET ROLE regress_newcomer;
SELECT u, count(r) AS offered FROM unnest('{7,107}'::int[]) u LEFT JOIN LATERAL tagrec_recommend('ease', u, 5, fresh => true) r ON true
	GROUP BY u ORDER BY u;
RESET ROLE;
ALTER TABLE source DISABLE ROW LEVEL SECURITY;
-- whatever operators the search path has
CREATE FUNCTION never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR newcomers.= (LEFTARG = int, RIGHTARG = int, FUNCTION = never);
SET search_path = newcomers, pg_catalog, public;
SELECT count(*) > 0 AS offered FROM tagrec_recommend('item_knn', 112, fresh => true);
SET search_path = newcomers, public;
DROP OPERATOR newcomers.= (int, int);
-- the registry's name of the source is a name and nothing else
BEGIN;
UPDATE tagrec_version SET source = 'newcomers.source,LATERAL(SELECT/**/1/0)x' WHERE model_id = (SELECT model_id FROM tagrec_model WHERE model = 'ease');
SELECT count(*) FROM tagrec_recommend('ease', 112, fresh => true);
ROLLBACK;
-- a source that asks more models than there are plans kept: the one in use stays; a build that clobbers freed memory tells
BEGIN;
CREATE FUNCTION ask_many() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 70 LOOP
		EXECUTE format('CREATE VIEW newcomers.source_%s AS TABLE newcomers.source', i);
		UPDATE tagrec_version v SET source = format('newcomers.source_%s', i) FROM tagrec_model m
			WHERE m.model_id = v.model_id AND model = 'ease';
		PERFORM count(*) FROM tagrec_recommend('ease', 112, fresh => true);
	END LOOP;
	RETURN true;
END $$;
CREATE VIEW asking AS SELECT * FROM source WHERE (SELECT ask_many());
UPDATE tagrec_version v SET source = 'newcomers.asking' FROM tagrec_model m WHERE m.model_id = v.model_id AND model = 'item_knn';
SELECT count(*) > 0 AS offered FROM tagrec_recommend('item_knn', 112, fresh => true);
SELECT count(*) FROM pg_class WHERE relname LIKE 'source_%' AND relnamespace = 'newcomers'::regnamespace AND relkind = 'v';
ROLLBACK;
-- names that have to be quoted, keys of another type, weights
CREATE TABLE "so""urce" AS SELECT md5(user_id::text)::uuid AS "the user", item_id::text || ' "x"' AS "it'em", tag AS "TAG", 2.5 AS "w t" FROM source
	WHERE user_id IS NOT NULL AND item_id IS NOT NULL AND tag IS NOT NULL;
SET client_min_messages = warning;
SELECT tagrec_train('quoted', 'so"urce', 'ease_tags', '{"user_weighting": "count"}', user_column => 'the user', item_column => 'it''em', tag_column => 'TAG',
	weight_column => 'w t') > 0 AS trained;
RESET client_min_messages;
SELECT bool_and(abs(s.score - f.score) <= 1e-4 * abs(s.score)) AS same, count(*) > 0 AS any
	FROM (SELECT item, score FROM tagrec_recommend('quoted', md5('107')::uuid)) s
		FULL JOIN (SELECT item, score FROM tagrec_recommend('quoted', md5('107')::uuid, fresh => true)) f USING (item);
-- the source is gone
DROP TABLE "so""urce";
\set VERBOSITY terse
SELECT count(*) FROM tagrec_recommend('quoted', md5('107')::uuid, fresh => true);
\set VERBOSITY default

-- ---- items that a caller names
SELECT m, bool_and(abs(s.score - f.score) <= 1e-4 * abs(s.score)) AS same, count(*) > 0 AS any
	FROM unnest('{ease,item_knn}'::text[]) m, LATERAL (SELECT item, score FROM tagrec_recommend(m, 107, 20)) s
		FULL JOIN LATERAL (SELECT item, score FROM tagrec_recommend_for_items(m, ARRAY(SELECT item_id FROM posts WHERE user_id = 107),
			n => 20)) f USING (item)
	GROUP BY m ORDER BY m COLLATE "C";
SELECT m, count(*) AS offered, count(*) FILTER (WHERE r.item::int >= 100 AND m NOT IN ('hdlpr_ns', 'hybrid')) AS of_the_group, bool_and(r.item NOT IN ('101', '102')) AS not_given
	FROM models, tagrec_recommend_for_items(m, '{101,102}', n => 5) r GROUP BY m ORDER BY m COLLATE "C";
-- weights, tags, and the types that items come in
SELECT bool_and(abs(a.score - 2 * b.score) < 1e-5) AS doubled FROM tagrec_recommend_for_items('ease', ARRAY[101, 102], '{2,2}') a
	JOIN tagrec_recommend_for_items('ease', ARRAY[101, 102]::bigint[]) b USING (item);
SELECT bool_and(a.score = b.score) AS added_up FROM tagrec_recommend_for_items('ease', ARRAY[101, 102, 101]) a
	JOIN tagrec_recommend_for_items('ease', '{101,102}', '{2,1}') b USING (item);
SELECT bool_and(a.score = b.score) AND count(*) > 0 AS tags_alone FROM tagrec_recommend_for_items('ease_tags', '{}', tags => '{g1t1,g1t2}', tag_weights => '{1,3}') a
	FULL JOIN tagrec_recommend_for_tags('ease_tags', '{g1t1,g1t2}', '{1,3}') b USING (item);
SELECT count(*) AS given_too FROM tagrec_recommend_for_items('ease', '{101,102}', exclude_given => false, candidates => '{101,102,103}');
SELECT item FROM tagrec_recommend_for_items_as(NULL::int, 'ease', '{101,102}', n => 1, exclude => ARRAY[103]);
SELECT count(*) FROM tagrec_recommend_for_items('ease', '{77,78,101,NULL}', n => 3);
SELECT count(*) FROM tagrec_recommend_for_items('ease_tags', '{101}', tags => '{g1t1,no such tag}', n => 3);
SELECT count(*) FROM tagrec_recommend_for_items('bpr', '{101}');
SELECT count(*) FROM tagrec_recommend_for_items('ease', '{101}', '{1,2}');
SELECT count(*) FROM tagrec_recommend_for_items('ease', '{101}', '{-1}');
SELECT count(*) FROM tagrec_recommend_for_items('ease', '{101}', '{NULL}');
SELECT count(*) FROM tagrec_recommend_for_items('ease', '{101}', n => -1);

-- ---- the popular items
CREATE VIEW popular AS SELECT item_id::text AS item, count(DISTINCT user_id) AS users FROM posts WHERE user_id % 100 < 12 GROUP BY 1;
SELECT r.rank, p.users = (SELECT users FROM popular ORDER BY users DESC OFFSET r.rank - 1 LIMIT 1) AS right, r.score
	FROM tagrec_recommend('ease', 4711, 3, fallback => 'popularity') r JOIN popular p USING (item) ORDER BY rank;
SELECT count(*) AS nobody FROM tagrec_recommend('ease', NULL, 3, fallback => 'popularity') WHERE score IS NULL;
SELECT count(*) AS known FROM tagrec_recommend('ease', 107, 3, fallback => 'popularity') WHERE score IS NOT NULL;
SELECT count(*) AS fresh FROM tagrec_recommend_as(NULL::int, 'ease', 4711, 3, fresh => true, fallback => 'popularity') WHERE score IS NULL;
SELECT count(*) AS items FROM tagrec_recommend_for_items('ease', '{}', n => 3, fallback => 'popularity') WHERE score IS NULL;
SELECT count(*) AS tags FROM tagrec_recommend_for_tags('ease_tags', '{}', n => 3, fallback => 'popularity') WHERE score IS NULL;
-- by the rules of the query
SELECT array_agg(item ORDER BY item) AS items FROM tagrec_recommend('ease', 4711, fallback => 'popularity', candidates => '{1,2,3}', exclude => '{2}');
SELECT bool_and(a.item = b.item) AS pages, count(*) FROM tagrec_recommend('ease', 4711, 2, fallback => 'popularity', after => 2) a
	JOIN tagrec_recommend('ease', 4711, 4, fallback => 'popularity') b USING (rank);
SELECT count(*) FROM tagrec_recommend('ease', 4711);
SELECT count(*) FROM tagrec_recommend('ease', 107, fallback => 'random');

-- ---- users for an item
CREATE VIEW pairs AS SELECT m, u, i, tagrec_score(m, u, i) AS score FROM models, generate_series(1, 111) u, unnest('{3,107}'::int[]) i
	WHERE u % 100 BETWEEN 1 AND 11;
SELECT m, count(*) AS users, bool_and(r.score = p.score) AS scores, bool_and(r.rank = p.rank) AS ranks
	FROM (SELECT m, u, i, score, row_number() OVER (PARTITION BY m, i ORDER BY score DESC, u) AS rank FROM pairs
		WHERE NOT EXISTS (SELECT FROM posts WHERE user_id = u AND item_id = i)) p
	JOIN LATERAL tagrec_recommend_users(m, i, 100) r ON r.user_id = u::text
	GROUP BY m ORDER BY m COLLATE "C";
SELECT count(*) AS too FROM tagrec_recommend_users('ease', 107, 100, exclude_seen => false);
SELECT array_agg(user_id ORDER BY user_id) AS some FROM tagrec_recommend_users_as(NULL::int, 'ease', 107, candidates => '{101,102,105,999}', exclude => '{102}');
SELECT array_agg(user_id ORDER BY user_id) AS one FROM tagrec_recommend_users('ease', 107, candidates => ARRAY[108]);
SELECT count(*) AS unknown FROM tagrec_recommend_users('ease', 4711);
SELECT count(*) AS nothing FROM tagrec_recommend_users('ease', NULL);
SELECT tagrec_recommend_users('ease', 107, -1);
SELECT user_id FROM tagrec_recommend_users_as(NULL::point, 'ease', 107);

-- ---- what items contribute
SELECT m, bool_and(abs(total - tagrec_score(m, u, i)) < 1e-5) AS add_up, bool_or(rest < 0.2 * total) AS mostly
	FROM unnest('{ease,ease_tags,item_knn,user_knn,ials,blend}'::text[]) m, unnest('{5,107}'::int[]) u, unnest('{3,107}'::int[]) i, LATERAL (SELECT sum(contribution) AS total,
		sum(contribution) FILTER (WHERE item IS NULL) AS rest FROM tagrec_explain_items(m, u, i, 100)) e
	GROUP BY m ORDER BY m COLLATE "C";
-- the terms of ease are its weights
SELECT bool_and(abs(contribution - weight) < 1e-7) AS weights, count(*) > 3 AS several, bool_and(n.neighbour_id IN (SELECT item_id FROM posts WHERE user_id = 107)) AS his
	FROM tagrec_explain_items('ease', 107, 103, 100) e JOIN ease_item_neighbour n ON n.item_id = 103 AND n.neighbour_id::text = e.item;
SELECT count(*) AS rows, bool_and(rank IS NULL = (item IS NULL)) AS last, bool_and(contribution <= before) FILTER (WHERE rank > 1) AS in_order FROM (
	SELECT *, lag(contribution) OVER (ORDER BY rank) AS before FROM tagrec_explain_items('ease', 107, 103, 3)) x;
SELECT bool_and(abs(a.contribution - b.contribution) < 1e-5) AS fresh FROM tagrec_explain_items('ease', 107, 103) a
	FULL JOIN tagrec_explain_items('ease', 107, 103, fresh => true) b USING (rank);
SELECT count(*) AS newcomer FROM tagrec_explain_items('ials', 112, 105, 2, fresh => true);
SELECT count(*) AS unknown FROM tagrec_explain_items('ease', 4711, 103);
SELECT * FROM tagrec_explain_items('hdlpr_ns', 107, 103);
SELECT * FROM tagrec_explain_items('bpr', 107, 103);

-- ---- items that came after the training: a refresh takes their few users for the first of several
SET client_min_messages = warning;
CREATE VIEW popularity_weight AS SELECT item_id, (embedding[9] / ln(1 + users))::numeric(8, 4) AS weight
	FROM hdlpr_ns_item_embedding JOIN (SELECT item_id, count(DISTINCT user_id) AS users FROM source GROUP BY 1) u USING (item_id);
DELETE FROM source WHERE item_id IS NULL OR tag IS NULL OR item_id = 999;
INSERT INTO source VALUES (5, 117, 'g1t1'), (5, 117, 'g1t2');
SELECT tagrec_refresh('hdlpr_ns') > 0 AS refreshed;
SELECT count(DISTINCT weight) AS old, (SELECT weight FROM popularity_weight WHERE item_id = 117) / max(weight) > 1.2 AS new
	FROM popularity_weight WHERE item_id < 117;
DROP VIEW popularity_weight;
RESET client_min_messages;

SELECT count(tagrec_drop(m)) AS dropped FROM (SELECT m FROM models UNION VALUES ('bpr'), ('quoted')) x;
SET client_min_messages = warning;
DROP SCHEMA newcomers CASCADE;
DROP ROLE regress_newcomer;
