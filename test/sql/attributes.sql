--
-- attributes of users and items
--
SET client_min_messages = warning;
CREATE SCHEMA attr;
SET search_path = attr, public;
\set SHOW_CONTEXT never
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE ratings (user_id int, item_id text, stars int);
INSERT INTO ratings SELECT u, 'item ' || i, 1 + (u % 3 + i % 2 * 2) FROM generate_series(1, 60) u, generate_series(1, 30) i
	WHERE (u * 7 + i * 3) % 4 > 1;
CREATE TABLE users AS SELECT u AS user_id, 20 + u AS age, u % 2 = 0 AS member, u % 3 AS region, date '2020-01-01' + u * 7 AS since
	FROM generate_series(1, 70) u;
CREATE TABLE items AS SELECT 'item ' || i AS item_id, CASE i % 2 WHEN 0 THEN 'Drama' ELSE 'Comedy' END AS genre,
	ARRAY['a' || i % 3, 'b' || i % 5]::varchar[] AS shelves, (ARRAY['sad', 'happy'])[i % 2 + 1]::mood AS mood, 'Title ' || i AS title,
	CASE WHEN i < 25 THEN i * 1.5 END AS price, 1950 + i % 4 AS year
	FROM generate_series(1, 30) i;

-- as tags: of every pair once, with the source's own; values that only one item has are left out, and a column of these
SELECT tagrec_train('tagged_by', 'ratings', 'tag_cosine', tag_column => NULL, item_features => 'items') > 0 AS trained;
SELECT tag_column, item_features, user_features, pairs = (SELECT count(*) FROM ratings) AS all_pairs, tags FROM tagrec_versions WHERE model = 'tagged_by';
SELECT string_agg(tag, ' ' ORDER BY tag COLLATE "C") AS tags FROM tagged_by_tag_versions;
SELECT count(*) AS wrong FROM tagged_by_item_versions v, unnest(v.tags, v.counts) p (position, count) JOIN tagged_by_tag_versions t USING (position)
	WHERE t.tag LIKE 'genre=%' AND (p.count <> v.posts OR t.tag <> 'genre=' || (SELECT genre FROM items i WHERE i.item_id = v.item_id));
SELECT DISTINCT genre FROM tagrec_recommend_for_tags('tagged_by', '{genre=Drama}', n => 5) r JOIN items i ON i.item_id = r.item;
-- beside the tags that there are; every algorithm for items that reads tags
CREATE VIEW tagged AS SELECT user_id, item_id, 'tag ' || stars AS tag FROM ratings;
SELECT tagrec_train('both', 'tagged', 'tag_cosine', item_features => 'items') > 0 AS trained;
SELECT count(*) FILTER (WHERE tag LIKE 'tag %') > 0 AS tags, count(*) FILTER (WHERE tag LIKE 'year=%') AS years FROM both_tag_versions;
SELECT bool_and(tagrec_train('all_' || algorithm, 'ratings', algorithm, '{"epochs": 1, "validation": 0.1}', tag_column => NULL,
	item_features => 'items') > 0) AS trained FROM unnest('{hdlpr_ns,hybrid,ease_tags,acf,ccf,blend}'::text[]) algorithm;
-- a refresh reads them, too: a new item has those features that the model knows, a number in the bin that there was
CREATE TABLE more AS SELECT item_id, genre, NULLIF(year, 1951) AS year, 10 * substr(item_id, 6)::int AS pages FROM items;
SELECT tagrec_train('refreshed', 'ratings', 'tag_cosine', tag_column => NULL, item_features => 'more') > 0 AS trained;
SELECT string_agg(tag, ' ' ORDER BY tag COLLATE "C") AS tags FROM refreshed_tag_versions;
INSERT INTO more VALUES ('new', 'Drama', 1950, 65), ('newer', 'Western', 1951, 1000), ('newest', 'Comedy', 1953, -5);
INSERT INTO ratings VALUES (1, 'new', 3), (1, 'newer', 3), (1, 'newest', 4);
SELECT tagrec_refresh('refreshed') > 0 AS refreshed;
SELECT v.item_id, string_agg(t.tag, ' ' ORDER BY t.tag COLLATE "C") AS tags
	FROM refreshed_item_versions v CROSS JOIN unnest(v.tags) p (tag) JOIN refreshed_tag_versions t ON t.position = p.tag AND t.version = v.version
	WHERE v.version = 2 AND v.item_id LIKE 'new%' GROUP BY 1 ORDER BY 1;
-- what was there is as it was
SELECT count(*) AS differences FROM (SELECT i.item_id, i.tags, i.counts FROM refreshed_item_versions i WHERE version = 1
	EXCEPT SELECT i.item_id, i.tags, i.counts FROM refreshed_item_versions i WHERE version = 2) d;
SELECT item_features FROM tagrec_versions WHERE model = 'refreshed' AND deployed;
ALTER TABLE more RENAME TO less;
SELECT tagrec_refresh('refreshed');
DELETE FROM ratings WHERE item_id LIKE 'new%';
SELECT tagrec_retrain('tagged_by') > 0 AS trained;
SELECT item_features, tags FROM tagrec_versions WHERE model = 'tagged_by' ORDER BY version;

-- as profiles, by an algorithm that uses them; what it learns is another model
SELECT tagrec_train('f1', 'ratings', 'fm', '{"epochs": 20, "burn_in": 5, "samples": 5}', tag_column => NULL, value_column => 'stars') > 0 AS without,
	tagrec_train('f2', 'ratings', 'fm', '{"epochs": 20, "burn_in": 5, "samples": 5, "validation": 0.1}', tag_column => NULL, value_column => 'stars',
		user_features => 'users', item_features => 'items') > 0 AS attributes;
SELECT user_features, item_features FROM tagrec_versions WHERE model = 'f2';
SELECT tagrec_predict('f1', 1, 'item 2') <> tagrec_predict('f2', 1, 'item 2') AS differ;
SELECT tagrec_refresh('f2');

-- what is refused
CREATE FUNCTION try(relation regclass) RETURNS bigint LANGUAGE sql AS $$
	SELECT tagrec_train('x', 'ratings', 'tag_cosine', tag_column => NULL, item_features => relation) $$;
\set VERBOSITY terse
SELECT tagrec_train('x', 'ratings', 'ease', tag_column => NULL, item_features => 'items');
SELECT tagrec_train('x', 'ratings', 'hybrid', tag_column => NULL, item_features => 'items', user_features => 'users');
SELECT tagrec_train('x', 'tagged', 'tag_popular', item_features => 'items');
SELECT tagrec_train('x', 'ratings', 'tag_cosine', tag_column => NULL);
\set VERBOSITY default
SELECT tagrec_train('x', 'ratings', 'tag_cosine', tag_column => NULL, item_features => 'nowhere');
SELECT try(1::regclass);
SELECT try('users');
CREATE VIEW bare AS SELECT item_id FROM items;
SELECT try('bare');
CREATE VIEW odd AS SELECT item_id, genre, point(1, 2) AS place, '{}'::jsonb AS data, interval '1 day' AS span, ARRAY[point(1, 2)] AS places FROM items;
SELECT try('odd');
CREATE VIEW twice AS SELECT item_id, genre FROM items UNION ALL SELECT 'item 7', 'Drama';
SELECT try('twice');
CREATE VIEW keyless AS SELECT nullif(item_id, 'item 9') AS item_id, genre FROM items;
SELECT try('keyless');
CREATE VIEW titles AS SELECT item_id, title FROM items;
SELECT try('titles');
CREATE VIEW strangers AS SELECT 'other ' || item_id AS item_id, genre FROM items;
SELECT try('strangers');
CREATE VIEW long AS SELECT item_id, repeat('x', 1000000) AS essay FROM items;
SELECT try('long');
CREATE VIEW nans AS SELECT item_id, 'NaN'::float8 AS price FROM items;
SELECT try('nans');
CREATE VIEW endless AS SELECT item_id, 'infinity'::timestamptz AS released FROM items;
SELECT try('endless');
CREATE VIEW many_elements AS SELECT item_id, (SELECT array_agg(g) FROM generate_series(1, 5000) g) AS shelves FROM items;
SELECT try('many_elements');
DO $$ BEGIN
	EXECUTE (SELECT format('CREATE VIEW wide AS SELECT item_id, %s FROM items', string_agg('genre AS g' || g, ', ')) FROM generate_series(1, 1000) g);
END $$;
SELECT try('wide');
CREATE VIEW broken AS SELECT item_id, 1 / (length(item_id) - 6) AS x FROM items;
SELECT try('broken');
CREATE TEMP VIEW temporary AS SELECT * FROM items;
SELECT try('temporary');
CREATE SEQUENCE numbers;
SELECT try('numbers');
-- nothing of a row that is missing, or NULL, or of nobody
CREATE VIEW sparse AS SELECT item_id, nullif(genre, 'Drama') AS genre, NULL::text[] AS nothing FROM items WHERE item_id <> 'item 2';
SELECT try('sparse') > 0 AS trained;
SELECT string_agg(tag, ' ') AS tags FROM x_tag_versions;
-- privileges: of every column
CREATE ROLE tagrec_attr_role LOGIN;
GRANT USAGE, CREATE ON SCHEMA attr TO tagrec_attr_role;
GRANT SELECT ON ratings TO tagrec_attr_role;
GRANT SELECT (item_id, genre) ON items TO tagrec_attr_role;
SET ROLE tagrec_attr_role;
SELECT tagrec_train('y', 'ratings', 'tag_cosine', tag_column => NULL, item_features => 'items');
RESET ROLE;
REVOKE ALL ON ratings, items FROM tagrec_attr_role;
REVOKE ALL ON SCHEMA attr FROM tagrec_attr_role;
DROP ROLE tagrec_attr_role;

SELECT count(tagrec_drop(model)) > 5 AS dropped FROM tagrec_models;
SET client_min_messages = error;
DROP SCHEMA attr CASCADE;
