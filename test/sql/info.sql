-- What there is to choose from.
SELECT algorithm, task FROM tagrec_algorithms WHERE algorithm IN ('dspr', 'hdlpr', 'hdlpr_ns', 'popularity') ORDER BY algorithm;
SELECT count(*) FILTER (WHERE summary = '' OR source = '' OR summary !~ '\.$') AS unexplained FROM tagrec_algorithms;

-- every option once, each with what it means
SELECT count(*) > 0 AS some, count(*) = count(DISTINCT (algorithm, option)) AS once FROM tagrec_options;
SELECT * FROM tagrec_options WHERE meaning = '' OR range = '' OR (default_value IS NULL AND option NOT IN ('schema', 'validation_source'));
SELECT option, type, default_value, range FROM tagrec_options WHERE algorithm = 'popularity' AND option IN ('preset', 'schema', 'validation_source', 'keep_versions');
-- an option of the network with its range and what the paper's preset makes of it
SELECT type, default_value <> '' AS has_default, range, presets FROM tagrec_options WHERE algorithm = 'dspr' AND option IN ('layers', 'weighting') ORDER BY option;
-- all that train knows is there
SELECT algorithm FROM tagrec_algorithms EXCEPT SELECT algorithm FROM tagrec_options;

-- every function, view and table of the extension says what it is for
SELECT d.classid::regclass, pg_describe_object(d.classid, d.objid, 0)
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'tagrec' AND d.deptype = 'e' AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
	AND obj_description(d.objid, d.classid::regclass::name) IS NULL
	AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'S');
-- anybody may look
CREATE ROLE regress_tagrec_anybody;
SET ROLE regress_tagrec_anybody;
SELECT count(*) > 0 FROM tagrec_algorithms;
SELECT count(*) > 0 FROM tagrec_options;
RESET ROLE;
DROP ROLE regress_tagrec_anybody;
