-- hybrid: what the tags cannot tell, the items can; new ones that a refresh finds are known by tags alone.
SET client_min_messages = warning;
CREATE SCHEMA hybrid;
SET search_path = hybrid, public;
-- two groups of users and items that never meet, and the same tags in both; every user has two thirds of his group's items
CREATE TABLE posts AS SELECT g * 100 + u AS user_id, g * 100 + i AS item_id, 't' || i % 4 AS tag
	FROM generate_series(0, 1) g, generate_series(1, 12) u, generate_series(1, 15) i WHERE (u + i) % 3 > 0;
SELECT tagrec_train('both', 'posts', 'hybrid', '{"item_term": 1, "layers": [16], "negatives": "full", "epochs": 300, "user_dropout": 0, "item_dropout": 0}') > 0 AS trained;
SELECT count(*) AS offered, count(*) FILTER (WHERE r.item::int / 100 = u / 100) AS of_the_group
	FROM unnest('{3,107}'::int[]) u, tagrec_recommend('both', u, 5) r;
SELECT abs(tagrec_score('both', 3, 4) - sum(x * y)) < 1e-5 AS inner_product
	FROM both_user_embedding u, both_item_embedding i, unnest(u.embedding, i.embedding) AS e(x, y)
	WHERE user_id = 3 AND item_id = 4;

-- tags alone do
SELECT count(*) AS offered FROM tagrec_recommend_for_tags('both', '{t1,t2}', n => 6);
SELECT count(*) > 0 AS explained FROM tagrec_explain('both', 3, 4);

-- a refresh: items have other numbers, and those of equal tags are still told apart
SELECT count(DISTINCT embedding) AS arrays FROM both_item_embedding WHERE item_id IN (4, 104);
INSERT INTO posts VALUES (0, 0, 't1'), (0, 0, 't2'), (0, 4, 't0'), (0, 104, 't0');
SELECT tagrec_refresh('both') > 0 AS refreshed;
SELECT count(*) AS items, count(DISTINCT embedding) FILTER (WHERE item_id IN (4, 104)) AS arrays FROM both_item_embedding;
SELECT count(*) AS offered FROM tagrec_recommend('both', 0, 5);

SELECT tagrec_train('x', 'posts', 'hybrid', '{"item_history": -2}');
SELECT option, default_value FROM tagrec_options WHERE algorithm = 'hybrid' AND option LIKE 'item\_%' ORDER BY option COLLATE "C";

SET client_min_messages = error;
SELECT tagrec_drop('both');
DROP SCHEMA hybrid CASCADE;
