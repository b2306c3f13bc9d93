-- The rows of README's table of options, from the view tagrec_options.
WITH o AS (
	SELECT option, default_value, max(range) AS range, max(presets ->> 'paper') AS paper, meaning,
		array_agg(algorithm ORDER BY algorithm) AS algorithms, min(position) AS position,
		bool_or(algorithm = 'popularity') AS common -- which has no options of its own
	FROM (SELECT *, row_number() OVER () AS position FROM tagrec_options) x
	GROUP BY option, default_value, meaning)
SELECT format('| `%s`%s | %s | %s | %s | %s |', option,
	CASE WHEN NOT common AND algorithms <> ARRAY['dspr', 'hdlpr', 'hdlpr_ns', 'hybrid'] THEN format(' (%s)', array_to_string(algorithms, ', ')) END,
	default_value, paper, range, replace(rtrim(meaning, '.'), '|', '\|'))
FROM o ORDER BY CASE WHEN common THEN 1 WHEN 'hdlpr_ns' = ANY (algorithms) THEN 0 ELSE 2 END, position
