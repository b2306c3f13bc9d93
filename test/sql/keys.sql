--
-- unusual keys, tags, weights and names: what each rule is
--
SET client_min_messages = warning;
CREATE SCHEMA keys;
SET search_path = keys, public;
CREATE TABLE a (user_id int, item_id text, tag text);
INSERT INTO a SELECT u, 'i' || (u * 7 + k * k) % 50, 't' || (u + k) % 20
	FROM generate_series(1, 100) u, generate_series(1, 10) k;
\set one '\'{"layers": [4], "epochs": 1}\''

-- the empty string is a key and a tag like any other
CREATE VIEW empties AS SELECT CASE WHEN user_id > 1 THEN user_id::text ELSE '' END AS user_id,
	CASE WHEN item_id <> 'i8' THEN item_id ELSE '' END AS item_id, CASE WHEN tag <> 't1' THEN tag ELSE '' END AS tag FROM a;
SELECT tagrec_train('m', 'empties', 'hdlpr_ns', :one) > 0 AS trained;
SELECT users, items, tags FROM tagrec_versions WHERE model = 'm';
SELECT count(*) FROM tagrec_recommend('m', '', 3);
SELECT count(*) FROM tagrec_recommend_for_tags('m', '{""}', n => 3);
SELECT tagrec_score('m', '', '') IS NOT NULL AS scored, (SELECT item FROM tagrec_similar_items('m', '', 50) WHERE item = '') AS itself;
SELECT tagrec_drop('m');

-- text keys and tags that differ in case or in spaces are different; other types' keys are as equal as their type and collation say
CREATE VIEW spaces AS SELECT CASE WHEN user_id % 2 = 0 THEN user_id || ' ' ELSE user_id::text END AS user_id,
	CASE WHEN user_id % 3 = 0 THEN upper(item_id) ELSE item_id END AS item_id,
	CASE WHEN user_id % 5 = 0 THEN tag || '  ' ELSE tag END AS tag FROM a;
SELECT tagrec_train('m', 'spaces', 'hdlpr_ns', :one) > 0 AS trained;
SELECT users, items, tags FROM tagrec_versions WHERE model = 'm';
SELECT count(*) FILTER (WHERE u = '2') AS trimmed, count(*) FILTER (WHERE u = '2 ') AS exact
	FROM unnest('{2,"2 "}'::text[]) u, tagrec_recommend('m', u, 3);
SELECT tagrec_drop('m');
CREATE VIEW padded AS SELECT user_id::text::char(8) AS user_id, item_id::char(6) AS item_id, tag FROM a;
SELECT tagrec_train('m', 'padded', 'hdlpr_ns', :one) > 0 AS trained;
SELECT count(*) FROM unnest('{2,"2 "}'::text[]) u, tagrec_recommend('m', u, 3);
SELECT count(*) FROM tagrec_recommend('m', '2', 9, false, '{i1,"i2  "}');
SELECT tagrec_drop('m');

-- enums, domains, composites, bytea, timestamps
CREATE TYPE letter AS ENUM ('z', 'y', 'x', 'w');
CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE > 0);
CREATE VIEW typed AS SELECT user_id::numeric::price AS user_id, substr('zyxw', user_id % 4 + 1, 1)::letter AS item_id, tag FROM a;
SELECT tagrec_train('m', 'typed', 'hdlpr_ns', :one) > 0 AS trained;
SELECT user_type, item_type, users, items FROM tagrec_versions WHERE model = 'm';
SELECT count(*) FROM tagrec_recommend('m', 1, 9, false);
SELECT count(*) FROM tagrec_recommend('m', '1.000', 9, false, '{z,w}');
SELECT pg_typeof(item), count(*) FROM tagrec_recommend_as(NULL::letter, 'm', 1::price, 9, false) GROUP BY 1;
SELECT tagrec_recommend('m', -1);
SELECT tagrec_recommend('m', 1, 9, false, '{a}');
SELECT tagrec_drop('m');
CREATE TYPE pair AS (x int, y text);
CREATE VIEW composite AS SELECT ROW (user_id, 'a "b"')::pair AS user_id, decode(md5(item_id), 'hex') AS item_id,
	'2020-02-02 02:02+02'::timestamptz + user_id % 7 * interval '1 day' AS tag FROM a;
SELECT tagrec_train('m', 'composite', 'hdlpr_ns', :one) > 0 AS trained;
SELECT count(*) FROM tagrec_recommend('m', ROW (1, 'a "b"')::pair, 3);
SELECT count(*) FROM tagrec_recommend('m', '(1,"a ""b""")', 3);
SELECT tagrec_drop('m');

-- no order, a domain inside another type, whose checks anybody can write, too long for an index
CREATE VIEW json AS SELECT json_build_object('u', user_id) AS user_id, item_id, tag FROM a;
SELECT tagrec_train('m', 'json', 'hdlpr_ns', :one);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 100);
CREATE TYPE numbered AS (number int, name short);
CREATE VIEW arrays AS SELECT user_id, ARRAY[item_id::short] AS item_id, tag FROM a;
SELECT tagrec_train('m', 'arrays', 'hdlpr_ns', :one);
CREATE VIEW numbered_items AS SELECT user_id, ROW(1, item_id)::numbered AS item_id, tag FROM a;
SELECT tagrec_train('m', 'numbered_items', 'hdlpr_ns', :one);
CREATE TYPE span AS RANGE (SUBTYPE = short);
CREATE VIEW spans AS SELECT user_id, span(item_id, NULL) AS item_id, tag FROM a;
SELECT tagrec_train('m', 'spans', 'hdlpr_ns', :one);
CREATE VIEW lengthy AS SELECT user_id, CASE WHEN user_id = 9 THEN repeat(item_id, 2000) ELSE item_id END AS item_id, tag FROM a;
SELECT tagrec_train('m', 'lengthy', 'hdlpr_ns', :one);

-- tags may be of any length
CREATE VIEW long_tags AS SELECT user_id, item_id, CASE WHEN user_id % 2 = 0 THEN repeat(tag || 'é', 3000) ELSE tag END AS tag FROM a;
SELECT tagrec_train('m', 'long_tags', 'hdlpr_ns', :one) > 0 AS trained;
SELECT tags FROM tagrec_versions WHERE model = 'm';
SELECT count(*) FROM tagrec_explain('m', 2, 'i11', 50) WHERE octet_length(tag) > 10000;
SELECT tagrec_drop('m');

-- weights: 0 says that there is a pair and adds nothing to a profile; more than 1e12 is refused
CREATE VIEW weights AS SELECT user_id, item_id, tag, 0 AS zero, 1.1e12 AS large FROM a;
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'zero') > 0 AS trained;
SELECT pairs = (SELECT count(DISTINCT (user_id, item_id)) FROM a) AS pairs FROM tagrec_versions WHERE model = 'm';
SELECT sum(c) FROM m_user_versions, unnest(counts) c;
SELECT tagrec_drop('m');
SELECT tagrec_train('m', 'weights', 'popularity', weight_column => 'large');

-- one column for users and tags
SELECT tagrec_train('m', 'a', 'popularity', user_column => 'tag') > 0 AS trained;
SELECT users, items, tags, pairs FROM tagrec_versions WHERE model = 'm';
SELECT tagrec_drop('m');

-- names of models: anything that leaves room for its relations
SELECT tagrec_train('Ünïcödé ☃ 100%s @', 'a', 'hdlpr_ns', :one) > 0 AS trained;
SELECT count(*) FROM tagrec_recommend('Ünïcödé ☃ 100%s @', 1, 3);
SELECT tagrec_refresh('Ünïcödé ☃ 100%s @') > 0 AS refreshed;
SELECT tagrec_drop('Ünïcödé ☃ 100%s @');
SELECT tagrec_train(repeat('n', 44), 'a', 'hdlpr_ns', :one) > 0 AS trained;
SELECT count(*) FROM tagrec_recommend(repeat('n', 44), 1, 3);
SELECT tagrec_drop(repeat('n', 44));
SELECT tagrec_train(repeat('☃', 16), 'a');

-- an option's name that does not fit the message is cut between characters
CREATE FUNCTION message(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN SQLERRM;
END $$;
SELECT bool_and(convert_from(convert_to(message(format('SELECT tagrec_train(''m'', ''a'', options => %L)',
	jsonb_build_object(repeat('x', i) || repeat('☃', 1000), 1))), 'UTF8'), 'UTF8') LIKE 'unknown option%') AS whole
	FROM generate_series(0, 3) i;

-- nothing is left
SELECT count(*) FROM tagrec_models WHERE schema = 'keys';
SELECT relname FROM pg_class WHERE relnamespace = 'keys'::regnamespace AND relname ~ '_(versions|v\d+|embedding)$';
SET client_min_messages = error;
DROP SCHEMA keys CASCADE;
