-- Profiles of tags that nobody has had, through the network.
\getenv srcdir PG_ABS_SRCDIR
\set fixture :srcdir /fixture/hand_made.sql
\set drop_fixture :srcdir /fixture/drop_hand_made.sql
SET client_min_messages = warning;
CREATE SCHEMA fixture;
SET search_path = fixture, public;
\set ECHO none
\i :fixture
\set ECHO all

SELECT fixture_network('net', 'text');
RESET client_min_messages;

CREATE FUNCTION near(a real[], b real[]) RETURNS boolean LANGUAGE sql AS $$
	SELECT cardinality(a) = cardinality(b) AND max(abs(x - y)) < 1e-6 FROM unnest(a, b) AS p (x, y)
$$;

-- counts of (acid jazz, bebop, synth); weights are counts, repeated tags add up, the order does not matter
SELECT near(tagrec_embed('net', '{acid jazz}'), fixture_encode('{1,0,0}'));
SELECT near(tagrec_embed('net', '{synth,acid jazz}'), fixture_encode('{1,0,1}'));
SELECT near(tagrec_embed('net', '{synth,bebop,synth}'), fixture_encode('{0,1,2}'));
SELECT near(tagrec_embed('net', '{synth,bebop,synth}', '{1,0.5,2}'), fixture_encode('{0,0.5,3}'));
SELECT near(tagrec_embed('net', '{bebop,acid jazz}', '{0,2}'), fixture_encode('{2,0,0}'));
SELECT near(tagrec_embed(model => 'net', tags => '{synth}', weights => '{3}'), fixture_encode('{0,0,3}'));
-- and they matter
SELECT near(tagrec_embed('net', '{synth}'), tagrec_embed('net', '{synth}', '{2}'));

-- unknown tags are named and left out; when nothing is left there is no array and there are no rows
SELECT near(tagrec_embed('net', '{zydeco,synth,SYNTH}'), fixture_encode('{0,0,1}'));
SELECT tagrec_embed('net', '{a,b,c,d,e,f,g}') IS NULL;
SELECT tagrec_embed('net', '{}') IS NULL, tagrec_embed('net', NULL) IS NULL, tagrec_embed('net', '{synth}', '{0}') IS NULL;
SELECT count(*) FROM tagrec_recommend_for_tags('net', '{zydeco}');
SELECT count(*) FROM tagrec_recommend_for_tags('net', '{}');

-- the array multiplied with the items' arrays is the recommendation
SELECT count(*), bool_and(r.item = w.item_id) AS items, max(abs(r.score - w.score)) < 1e-6 AS scores
FROM (SELECT *, row_number() OVER (ORDER BY round(score::numeric, 5) DESC, item_id) AS rank FROM
	(SELECT item_id, fixture_dot(tagrec_embed('net', '{synth,bebop}', '{2,1}'), embedding) AS score FROM net_item_embedding) x) w
JOIN tagrec_recommend_for_tags('net', '{synth,bebop}', '{2,1}', 100) r USING (rank);
SELECT rank, item FROM tagrec_recommend_for_tags('net', '{bebop}', n => 3);
SELECT rank, item FROM tagrec_recommend_for_tags('net', '{bebop}', candidates => '{i04,i01,i05,nothing}');
SELECT count(*) FROM tagrec_recommend_for_tags('net', '{bebop}', n => 0);
SELECT count(*) FROM tagrec_recommend_for_tags('net', '{bebop}', n => 50);

-- a user of the same tags gets the same
SELECT count(*), bool_and(a.item = b.item AND abs(a.score - b.score) < 1e-6)
FROM tagrec_recommend('net', 'bob', 20, false) a JOIN tagrec_recommend_for_tags('net', '{acid jazz,bebop}', n => 20) b USING (rank);

-- what moves a feature: each tag alone
SELECT f.rank, f.tag, abs(f.activation - (fixture_encode(CASE f.tag WHEN 'acid jazz' THEN '{1,0,0}' WHEN 'bebop' THEN '{0,1,0}'
	ELSE '{0,0,1}' END::real[]))[feature]) < 1e-6 AS activation
FROM generate_series(1, 2) feature, LATERAL tagrec_feature_tags('net', feature) f ORDER BY feature, rank;
SELECT rank, tag FROM tagrec_feature_tags('net', 2, 1);
SELECT count(*) FROM tagrec_feature_tags('net', 1, 0);

-- topics: as many as there is room for, each with the tags that lie along it most; the sharpest first
SELECT count(*) AS topics, min(cardinality(tags)) AS least, max(cardinality(tags)) AS most, array_agg(topic ORDER BY sharpness DESC) AS by_sharpness,
	bool_and(sharpness BETWEEN -1.000001 AND 1.000001) AS cosines FROM tagrec_topics('net');
SELECT topic, cardinality(tags) FROM tagrec_topics('net', 1, 2);
SELECT topic, sharpness, cardinality(tags) FROM tagrec_topics('net', n => 1) ORDER BY topic;
SELECT cardinality(tags) FROM tagrec_topics('net', 1, 0);
SELECT * FROM tagrec_topics('net', 0);
SELECT * FROM tagrec_topics('net', 65);
SELECT * FROM tagrec_topics('net', NULL);
-- tags that users give together are in one topic: five kinds of users, each with eight tags of its own
SET client_min_messages = warning;
CREATE TABLE kinds AS SELECT u AS user_id, i AS item_id, 'kind ' || u % 5 || ' tag ' || (u / 5 * 7 + i / 5 * 3) % 8 AS tag
	FROM generate_series(0, 99) u, generate_series(0, 99) i WHERE i % 5 = u % 5 AND (u * 5 + i) % 3 = 0;
SELECT tagrec_train('kinds', 'kinds', 'hdlpr_ns', '{"epochs": 60, "validation": 0}') > 0 AS trained;
SELECT topic, (SELECT count(DISTINCT split_part(tag, ' ', 2)) FROM unnest(tags) tag) AS kinds
FROM tagrec_topics('kinds', 4, 6) WHERE topic <= 3;
SELECT tagrec_train('kinds', 'kinds', 'item_knn') > 0 AS trained;
RESET client_min_messages;
SELECT * FROM tagrec_topics('kinds');
SELECT tagrec_drop('kinds');

-- another version, other weights
SET client_min_messages = warning;
SELECT fixture_network('net', 'text', 2);
UPDATE net_weight_v2 SET value = '{0.25, -0.5}' WHERE name = 'b1';
RESET client_min_messages;
SELECT near(tagrec_embed('net', '{synth}'), fixture_encode('{0,0,1}'));
UPDATE tagrec_model SET deployed_version = 1 WHERE model = 'net';
SELECT near(tagrec_embed('net', '{synth}'), fixture_encode('{0,0,1}'));

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
