-- The generated part of doc/options.md, from the view tagrec_options: the options of every algorithm, those of the towers, and
-- what each algorithm has besides. An option is the same one where its name, default and meaning are.
WITH numbered AS (
	SELECT *, presets ->> 'paper' AS paper, algorithm IN ('dspr', 'hdlpr', 'hdlpr_ns', 'hybrid') AS tower,
		row_number() OVER () AS position
	FROM tagrec_options
), options AS (
	SELECT *, max(range) OVER same AS widest, max(paper) OVER same AS any_paper,
		bool_or(algorithm = 'popularity') OVER same AS common, -- which has no options of its own
		count(*) FILTER (WHERE tower) OVER same = 4 AS of_towers
	FROM numbered
	WINDOW same AS (PARTITION BY option, default_value, meaning)
), sections AS (
	SELECT 1 AS section, 'Every algorithm' AS title, option, default_value, any_paper AS paper, widest AS range, meaning,
		position
	FROM options WHERE common AND algorithm = 'popularity'
	UNION ALL
	SELECT 2, 'The towers: dspr, hdlpr, hdlpr_ns, hybrid', option, default_value, any_paper, widest, meaning, position
	FROM options WHERE NOT common AND of_towers AND algorithm = 'dspr'
	UNION ALL
	SELECT 3, algorithm, option, default_value, paper, range, meaning, position
	FROM options WHERE NOT common AND NOT (of_towers AND tower)
), entries AS (
	SELECT *, format('- `%s` = %s%s; %s. %s.', option, coalesce('`' || nullif(default_value, '') || '`', 'nothing'),
		' (paper: `' || paper || '`)', range, upper(left(meaning, 1)) || rtrim(substr(meaning, 2), '.')) AS entry
	FROM sections
)
SELECT format(E'## %s\n\n%s\n', title, string_agg(
	rtrim(regexp_replace(entry, '(.{1,116})(?: |$)', E'\\1\n  ', 'g'), E'\n '), E'\n' ORDER BY position))
FROM entries
GROUP BY section, title
ORDER BY section, title COLLATE "C"
