-- ---------------------------------------------------------------------------------------------------------------------
-- information: algorithms, options, splits
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tagrec_algorithm_rows()
	RETURNS TABLE (algorithm text, task text, summary text, source text)
AS 'MODULE_PATHNAME', 'tagrec_algorithm_rows'
LANGUAGE C STABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION tagrec_algorithm_rows() IS 'implements the view tagrec_algorithms';

CREATE OR REPLACE FUNCTION tagrec_algorithm_says(algorithm text, question text) RETURNS boolean
AS 'MODULE_PATHNAME', 'tagrec_algorithm_says'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION tagrec_algorithm_says(text, text) IS 'used by the view tagrec_algorithms: what an algorithm needs and uses';

CREATE OR REPLACE VIEW tagrec_algorithms AS
SELECT algorithm, task, summary, source,
	tagrec_algorithm_says(algorithm, 'needs_tags') AS needs_tags,
	tagrec_algorithm_says(algorithm, 'uses_values') AS uses_values,
	tagrec_algorithm_says(algorithm, 'uses_attributes') AS uses_attributes
FROM tagrec_algorithm_rows();
COMMENT ON VIEW tagrec_algorithms IS 'algorithms supported by tagrec_train()';
COMMENT ON COLUMN tagrec_algorithms.task IS 'what it recommends, item or tag, or rating: it predicts values';
COMMENT ON COLUMN tagrec_algorithms.source IS 'reference: paper and equation';
COMMENT ON COLUMN tagrec_algorithms.needs_tags IS 'whether it cannot be trained on (user, item) pairs without tags';
COMMENT ON COLUMN tagrec_algorithms.uses_values IS 'whether it uses value_column';
COMMENT ON COLUMN tagrec_algorithms.uses_attributes IS 'whether it uses user_features and item_features';

CREATE OR REPLACE FUNCTION tagrec_option_rows()
	RETURNS TABLE (algorithm text, option text, type text, default_value text, range text, presets jsonb, meaning text)
AS 'MODULE_PATHNAME', 'tagrec_option_rows'
LANGUAGE C STABLE PARALLEL SAFE ROWS 100;
COMMENT ON FUNCTION tagrec_option_rows() IS 'implements the view tagrec_options';

CREATE OR REPLACE VIEW tagrec_options AS SELECT * FROM tagrec_option_rows();
COMMENT ON VIEW tagrec_options IS 'valid members of the argument options of tagrec_train(), by algorithm';
COMMENT ON COLUMN tagrec_options.presets IS 'presets that set the option, with their values';

GRANT SELECT ON tagrec_algorithms, tagrec_options TO PUBLIC;

-- The fold is computed from the text forms of the ids. A type whose text form depends on a setting (dates: DateStyle) gives
-- different folds under different settings; integer, text and uuid do not.

CREATE OR REPLACE FUNCTION tagrec_fold(user_id text, item_id text, seed text DEFAULT 'tagrec')
	RETURNS int
AS 'MODULE_PATHNAME', 'tagrec_fold'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_fold(text, text, text) IS
	'fold of a (user, item) pair, 0 to 99, for splitting data: the first 8 hexadecimal digits of md5(user:item:seed) modulo 100';

CREATE OR REPLACE FUNCTION tagrec_fold(user_id "any", item_id "any", seed text DEFAULT 'tagrec')
	RETURNS int
AS 'MODULE_PATHNAME', 'tagrec_fold'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_fold("any", "any", text) IS
	'fold of a (user, item) pair, 0 to 99, for splitting data: the first 8 hexadecimal digits of md5(user:item:seed) modulo 100';

-- Leave one tag out: of each post, the tag with the smallest hash.

CREATE OR REPLACE FUNCTION tagrec_holdout(user_id text, item_id text, tag text, seed text DEFAULT 'tagrec')
	RETURNS text
AS 'MODULE_PATHNAME', 'tagrec_holdout'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_holdout(text, text, text, text) IS
	'hash for ordering the tags of a post, of which the first is held out: md5(user:item:tag:seed)';

CREATE OR REPLACE FUNCTION tagrec_holdout(user_id "any", item_id "any", tag "any", seed text DEFAULT 'tagrec')
	RETURNS text
AS 'MODULE_PATHNAME', 'tagrec_holdout'
LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION tagrec_holdout("any", "any", "any", text) IS
	'hash for ordering the tags of a post, of which the first is held out: md5(user:item:tag:seed)';

-- ---------------------------------------------------------------------------------------------------------------------
-- information: devices
-- ---------------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION tagrec_devices()
	RETURNS TABLE (device text, name text, memory bigint, compute_capability text, driver text)
AS 'MODULE_PATHNAME', 'tagrec_devices'
LANGUAGE C VOLATILE ROWS 2;
COMMENT ON FUNCTION tagrec_devices() IS
	'devices available for training: the CPU with its BLAS library, and CUDA devices, of which training uses the first; memory in bytes';

CREATE OR REPLACE FUNCTION tagrec_mapped_rows()
	RETURNS TABLE (relation regclass, bytes bigint, used timestamptz)
AS 'MODULE_PATHNAME', 'tagrec_mapped_rows'
LANGUAGE C VOLATILE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION tagrec_mapped_rows() IS 'implements the view tagrec_mapped';
REVOKE ALL ON FUNCTION tagrec_mapped_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tagrec_mapped_rows() TO pg_monitor;

CREATE OR REPLACE VIEW tagrec_mapped AS SELECT * FROM tagrec_mapped_rows();
COMMENT ON VIEW tagrec_mapped IS 'the files of this database''s models that sessions share';
COMMENT ON COLUMN tagrec_mapped.used IS 'when a session mapped it last';
GRANT SELECT ON tagrec_mapped TO pg_monitor;

CREATE OR REPLACE FUNCTION tagrec_search_counts()
	RETURNS TABLE (searches bigint, by_bounds bigint, searched_rows bigint, scored_rows bigint)
AS 'MODULE_PATHNAME', 'tagrec_search_counts'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION tagrec_search_counts() IS 'implements the view tagrec_searches';

CREATE OR REPLACE VIEW tagrec_searches AS SELECT * FROM tagrec_search_counts();
COMMENT ON VIEW tagrec_searches IS 'this session''s searches of all items, or users, for the best ones';
COMMENT ON COLUMN tagrec_searches.by_bounds IS 'searches that left rows out by bounds on their scores';
COMMENT ON COLUMN tagrec_searches.scored_rows IS 'rows whose scores were computed, of searched_rows';
GRANT SELECT ON tagrec_searches TO PUBLIC;
