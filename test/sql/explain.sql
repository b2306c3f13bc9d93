-- Why an item is recommended: what its score loses without a tag.
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
SELECT fixture_network('numbered', 'int');
RESET client_min_messages;

SELECT rank, tag, round(contribution::numeric, 4) AS contribution, user_count, item_count FROM tagrec_explain('net', 'bob', 'i05');

-- every pair against the network in SQL
CREATE FUNCTION without(counts real[], tag int) RETURNS real[] LANGUAGE sql AS $$
	SELECT array_agg(CASE WHEN t = tag THEN 0 ELSE c END ORDER BY t) FROM unnest(counts) WITH ORDINALITY AS x (c, t)
$$;
CREATE VIEW wanted AS
	SELECT fixture_user('text', u) AS u, fixture_item('text', i) AS i, (ARRAY['acid jazz', 'bebop', 'synth'])[t] AS tag,
		fixture_dot(fixture_encode(uc), fixture_encode(ic)) - fixture_dot(fixture_encode(without(uc, t)), fixture_encode(without(ic, t)))
			AS contribution, uc[t] AS user_count, ic[t] AS item_count
	FROM generate_series(0, 7) u, generate_series(0, 11) i, generate_series(1, 3) t,
		LATERAL (SELECT fixture_counts('user', u) AS uc, fixture_counts('item', i) AS ic) c
	WHERE uc[t] > 0 OR ic[t] > 0;
SELECT count(*) AS tags, count(*) FILTER (WHERE w.tag IS NULL OR e.tag IS NULL) AS unmatched,
	bool_and(w.user_count = e.user_count AND w.item_count = e.item_count) AS counts,
	max(abs(w.contribution - e.contribution)) < 1e-5 AS contributions
FROM (SELECT DISTINCT u, i FROM wanted) p CROSS JOIN LATERAL (SELECT * FROM tagrec_explain('net', p.u, p.i)) e
	FULL JOIN wanted w ON w.u = p.u AND w.i = p.i AND w.tag = e.tag;
-- the largest first
SELECT count(*) FILTER (WHERE contribution > before) AS out_of_order FROM (
	SELECT contribution, lag(contribution) OVER (PARTITION BY u, i ORDER BY rank) AS before
	FROM (SELECT DISTINCT u, i FROM wanted) p, LATERAL tagrec_explain('net', p.u, p.i)) x;
-- the tag that decides most, when but one is asked for
SELECT tag FROM tagrec_explain('net', 'bob', 'i05', 1);
SELECT tag FROM tagrec_explain('numbered', 2, 30, n => 1);
SELECT tag FROM tagrec_explain('numbered', '2', 30, n => 1);
SELECT tag FROM tagrec_explain('numbered', 2, '30', n => 1);
SELECT count(*) FROM tagrec_explain('net', 'bob', 'i05', 0);
SELECT count(*) FROM tagrec_explain('net', 'nobody', 'i05');
SELECT count(*) FROM tagrec_explain('net', 'bob', 'nothing');
SELECT count(*) FROM tagrec_explain('net', NULL, 'i05');

-- profiles of so many tags that not all are looked at: the most frequent ones are, however many are asked for
CREATE TABLE many AS
	SELECT 1 AS user_id, 1 AS item_id, 'tag ' || t AS tag FROM generate_series(1, 6000) t
	UNION ALL SELECT 1, 2, 'tag ' || t FROM generate_series(1, 400) t
	UNION ALL SELECT 2, 2, 'tag ' || t FROM generate_series(1, 300) t;
SET client_min_messages = warning;
SELECT tagrec_train('many', 'many', 'hdlpr_ns', '{"layers": [2], "epochs": 1, "batch": 1, "validation": 0}') > 0 AS trained;
RESET client_min_messages;
SELECT count(*) AS tags, count(*) FILTER (WHERE user_count = 2) AS frequent, count(DISTINCT tag) AS different,
	bool_and(contribution IS NOT NULL) AS explained FROM tagrec_explain('many', 1, 1, 100000);
SELECT count(*) AS tags FROM tagrec_explain('many', 2, 2, 100000);
SELECT tagrec_drop('many');
DROP TABLE many;

SET client_min_messages = warning;
\set ECHO none
\i :drop_fixture
