# The registry: what each role sees of it, and that nothing another role owns ever stands in for it or for a model.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Roles;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('registry');
$node->init;
$node->append_conf('postgresql.conf', 'tagrec.threads = 1');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE ann LOGIN;
	CREATE ROLE ben LOGIN;
	CREATE ROLE mallory LOGIN;
	CREATE ROLE keeper LOGIN;
	CREATE ROLE monitor LOGIN IN ROLE pg_read_all_stats;
	CREATE DATABASE kept OWNER keeper});

roles_of($node, 'kept');

sub super
{
	return $node->safe_psql('kept', shift);
}

sub gives
{
	my ($role, $sql, $result, $what) = @_;
	my ($ret, $stdout, $stderr) = as($role, $sql);
	is($stdout . $stderr, $result, $what);
	return;
}

# ---------------------------------------------------------------- the extension's objects are made of its own and the system's

# In the schema that the extension is made in stands an operator for any two types. Where the system has none for exactly the
# types of a comparison, that one would be taken.
super(q{
	CREATE SCHEMA tools;
	DO $do$
	DECLARE
		types text[] := '{int2,int4,int8,float4,float8,text,name,oid,json,jsonb,bool,xid,interval,timestamptz}';
		a text;
		b text;
		operator text;
	BEGIN
		FOREACH a IN ARRAY types LOOP
			FOREACH b IN ARRAY types LOOP
				EXECUTE format('CREATE FUNCTION tools.fake(%1$s, %2$s) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT ''forged''::text$$', a, b);
				EXECUTE format('CREATE FUNCTION tools.fake_bool(%1$s, %2$s) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT true$$', a, b);
				FOREACH operator IN ARRAY '{=,<>,<,>,<=,>=}'::text[] LOOP
					EXECUTE format('CREATE OPERATOR tools.%1$s (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = tools.fake_bool)', operator, a, b);
				END LOOP;
				FOREACH operator IN ARRAY '{->,->>,||,-,*,>>,&}'::text[] LOOP
					EXECUTE format('CREATE OPERATOR tools.%1$s (LEFTARG = %2$s, RIGHTARG = %3$s, FUNCTION = tools.fake)', operator, a, b);
				END LOOP;
			END LOOP;
		END LOOP;
	END $do$;
	CREATE EXTENSION tagrec SCHEMA tools});
is( super(q{
		WITH own AS (SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
			WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'tagrec'),
		parts AS (
			SELECT * FROM own
			UNION SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN own ON own.objid = r.ev_class
			UNION SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c JOIN own ON own.objid = c.conrelid
			UNION SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN own ON own.objid = a.adrelid)
		SELECT string_agg(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
		FROM pg_depend d JOIN parts USING (classid, objid)
		WHERE d.refclassid IN ('pg_operator'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
			AND (d.refclassid, d.refobjid) NOT IN (SELECT * FROM own)
			AND d.refobjid NOT IN (SELECT oid FROM pg_type WHERE typrelid IN (SELECT objid FROM own))}),
	'', 'the extension takes no operator, function or type that stands in its schema');
super(q{DROP EXTENSION tagrec; DROP SCHEMA tools CASCADE});

# ---------------------------------------------------------------- what a role sees

super(q{
	CREATE SCHEMA tools AUTHORIZATION keeper;
	CREATE EXTENSION tagrec SCHEMA tools;
	ALTER DATABASE kept SET search_path = "$user", tools, public;
	GRANT USAGE ON SCHEMA tools TO PUBLIC;
	CREATE SCHEMA ann AUTHORIZATION ann;
	CREATE SCHEMA ben AUTHORIZATION ben;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	GRANT USAGE ON SCHEMA ann TO ben;
	CREATE TABLE public.a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	GRANT SELECT ON public.a TO ann, ben, mallory});
works('ann', q{SELECT tagrec_train('secret', 'a', 'popularity'), tagrec_train('shared', 'a', 'popularity')}, 'models of a role');
works('ann', q{SELECT tagrec_tune('secret', 'a', 'ials', '{"factors": [4, 8]}', 2, '{"epochs": 2, "validation": 0.2}')}, '... one of them tuned');
works('ann', q{GRANT SELECT ON shared_item_embedding TO ben}, '... and the other shared');
works('ben', q{SELECT tagrec_train('bens', 'a', 'popularity')}, '... and one of another role');

my $models = q{SELECT string_agg(model, ' ' ORDER BY model) FROM tagrec_models};
my $versions = q{SELECT string_agg(DISTINCT model, ' ' ORDER BY model) FROM tagrec_versions};
my $jobs = q{SELECT string_agg(DISTINCT model, ' ' ORDER BY model) FROM tagrec_jobs};
my $epochs = q{SELECT string_agg(DISTINCT model, ' ' ORDER BY model) FROM tagrec_epochs};
my $trials = q{SELECT string_agg(DISTINCT model, ' ' ORDER BY model) FROM tagrec_trials};
my %seen = (
	ann => 'secret shared', ben => 'bens shared', mallory => '', monitor => '', keeper => 'bens secret shared');
gives($_, $models, $seen{$_}, "$_ sees the models that it may use or owns") foreach sort keys %seen;
gives($_, $versions, $seen{$_}, "... $_: and their versions") foreach sort keys %seen;
$seen{monitor} = 'bens secret shared';
gives($_, $jobs, $seen{$_}, "... $_: and their jobs") foreach sort keys %seen;
gives($_, $trials, $seen{$_} =~ /secret/ ? 'secret' : '', "... $_: and trials") foreach sort keys %seen;
gives($_, $epochs, $seen{$_}, "... $_: and epochs") foreach sort keys %seen;
is(super($models), 'bens secret shared', 'a superuser sees all');
gives('ben', q{SELECT count(source), count(options) FROM tagrec_versions WHERE model = 'shared'}, '1|1', 'who may use a model sees what it is made of');
refused('mallory', "SELECT * FROM tools.tagrec_$_", qr/permission denied for table tagrec_$_/, "... and nobody the table tagrec_$_")
  foreach qw(model version job job_error epoch trial);
refused('mallory', 'SELECT * FROM tools.tagrec_job_job_seq', qr/permission denied for sequence/, '... or how many jobs there were');
gives('mallory', q{
	CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE NOTICE 'leaked %', $1; RETURN true; END$$;
	SELECT count(*) FROM tagrec_models WHERE leak(model);
	SELECT count(*) FROM tagrec_versions WHERE leak(source);
	SELECT count(*) FROM tagrec_jobs WHERE leak(model);
	SELECT count(*) FROM tagrec_epochs WHERE leak(loss::text);
	SELECT count(*) FROM tagrec_trials WHERE leak(settings::text)}, "0\n0\n0\n0\n0", 'no function of a query is shown the other rows');

refused('mallory', q{SELECT tagrec_recommend('none', 1)}, qr/model "none" does not exist\nHINT:  There is no model that you may use/, 'a hint names none');
refused('ben', q{SELECT tagrec_recommend('none', 1)}, qr/model "none" does not exist\nHINT:  The models are "bens", "shared"\./, '... but what a role may use');
my $job = works('ann', q{SELECT tagrec_train('long', 'a', 'hdlpr_ns', '{"epochs": 100000, "batch": 16}', wait => false)}, 'a first training');
$node->poll_query_until('kept', "SELECT state = 'running' FROM tagrec_jobs WHERE job = $job");
refused('ann', q{SELECT tagrec_recommend('long', 1)}, qr/model "long" is still being trained for the first time/, '... is told to its role');
refused('ben', q{SELECT tagrec_recommend('long', 1)}, qr/model "long" does not exist/, '... and to no other');
works('ann', "SELECT tagrec_cancel($job)", '... and is cancelled');
$node->poll_query_until('kept', "SELECT state = 'cancelled' FROM tagrec_jobs WHERE job = $job");
gives('ben', q{SELECT count(*) > 0 FROM tagrec_recommend('shared', 1)}, 't', 'a shared model answers');
gives('ben', q{SELECT count(*) > 0 FROM ann.shared_item_embedding}, 't', '... and is read');

# ---------------------------------------------------------------- the extension's schema is renamed

my $session = $node->background_psql('kept', on_error_stop => 0);
$session->query_safe(q{SET search_path = tools, ann, public; SELECT tagrec_deploy('shared', 1); SELECT count(*) FROM tagrec_recommend('shared', 1)});
works('ann', q{SELECT tagrec_train('shared', 'a', 'popularity')}, 'another version');
super(q{
	ALTER SCHEMA tools RENAME TO instruments;
	CREATE SCHEMA tools AUTHORIZATION mallory});
super(q{
	CREATE TABLE tools.tagrec_model AS TABLE instruments.tagrec_model;
	CREATE TABLE tools.tagrec_version AS TABLE instruments.tagrec_version;
	ALTER TABLE tools.tagrec_model OWNER TO mallory;
	ALTER TABLE tools.tagrec_version OWNER TO mallory});
works('mallory', q{
	CREATE FUNCTION tools.grab() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'grabbed by %', current_user; RETURN NEW; END$$;
	CREATE TRIGGER grab BEFORE UPDATE OR INSERT ON tools.tagrec_model FOR EACH ROW EXECUTE FUNCTION tools.grab();
	GRANT ALL ON tools.tagrec_model, tools.tagrec_version TO PUBLIC}, 'a registry of somebody else\'s under the old name');
$session->query(q{SELECT instruments.tagrec_deploy('shared', 2)});
unlike($session->{stderr}, qr/grabbed/, '... is not the one that an open session writes to');
unlike($session->{stderr}, qr/ERROR/, '... which goes on without complaint');
is($session->query(q{SELECT deployed_version FROM instruments.tagrec_models WHERE model = 'shared'}), '2', '... in the real one');
works('mallory', 'DROP SCHEMA tools CASCADE', 'the old name is free again');
super('ALTER SCHEMA instruments RENAME TO tools');
is($session->query(q{SELECT tagrec_rollback('shared')}), '1', '... and the extension takes it back');

# one table of the registry renamed, which an invalidation of another does not tell
super('ALTER TABLE tools.tagrec_job RENAME TO elsewhere; GRANT CREATE ON SCHEMA tools TO mallory');
works('mallory', q{
	CREATE TABLE tools.tagrec_job (job bigint DEFAULT 1, model text, kind text, state text, role name, request jsonb, started_at timestamptz);
	CREATE FUNCTION mallory.grab() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'grabbed by %', current_user; RETURN NEW; END$$;
	CREATE TRIGGER grab BEFORE UPDATE OR INSERT ON tools.tagrec_job FOR EACH ROW EXECUTE FUNCTION mallory.grab();
	GRANT ALL ON tools.tagrec_job TO PUBLIC}, 'a table in the place of one of the registry\'s');
refused('ben', q{SELECT tagrec_train('bens', 'a', 'popularity', wait => false)},
	qr/^psql:<stdin>:1: ERROR:  relation "tagrec_job" does not belong to extension "tagrec"/, '... is refused');
works('mallory', 'DROP TABLE tools.tagrec_job', 'that gone');
super('ALTER TABLE tools.elsewhere RENAME TO tagrec_job; REVOKE CREATE ON SCHEMA tools FROM mallory');
works('ben', q{SELECT tagrec_train('bens', 'a', 'popularity')}, '... all is well again');
$session->quit;

# ---------------------------------------------------------------- a model's schema is renamed

super(q{ALTER SCHEMA ann RENAME TO anns});
my $gone = qr/schema "ann" of model "shared" does not exist\nDETAIL:  It was dropped or renamed after the model was trained\.\nHINT:  Restore the name of the schema/;
refused('ann', q{SELECT * FROM tagrec_recommend('shared', 1)}, $gone, 'a model whose schema has another name says so');
refused('mallory', q{SELECT tagrec_drop('shared')}, qr/must be owner of model "shared"/, '... and is not dropped by just anybody');
super(q{CREATE SCHEMA ann AUTHORIZATION mallory});
refused('mallory', q{SELECT tagrec_drop('shared')}, qr/must be owner of model "shared"/, '... nor by who has made a schema of its name');
works('mallory', q{
	CREATE TABLE ann.shared_item_versions (); CREATE VIEW ann.shared_item_embedding AS SELECT 1 AS item_id; CREATE VIEW ann.secret_item_embedding AS SELECT 1 AS item_id},
	'... and relations of their names');
refused('mallory', qq{SELECT $_}, qr/must be owner of model "shared"\nDETAIL:  Its relations belonged to role "ann" when a version was last deployed/, "... does not get at it: $_")
  foreach (q{tagrec_deploy('shared', 1)}, q{tagrec_rollback('shared')}, q{tagrec_rename('shared', 'mine')}, q{tagrec_refresh('shared')},
	q{tagrec_train('shared', 'a', 'popularity')});
refused('mallory', q{SELECT tagrec_drop('shared')}, qr/must be owner of model "shared"/, "... or drops it");
gives('ann', $models, 'secret shared', 'its owner still sees it');
works('mallory', q{GRANT USAGE ON SCHEMA ann TO PUBLIC; GRANT SELECT ON ann.shared_item_embedding TO PUBLIC}, '... and who has made them');
refused('ben', q{SELECT * FROM tagrec_recommend('shared', 1)},
	qr/relations of model "shared" do not belong to its owner\nDETAIL:  They belong to role "mallory", but belonged to role "ann" when a version was last deployed/,
	'... does not answer in its place');
super(q{DROP SCHEMA ann CASCADE; ALTER SCHEMA anns RENAME TO ann});
gives('ann', q{SELECT count(*) > 0 FROM tagrec_recommend('shared', 1)}, 't', '... and has it back with the name');

# given away
super(q{ALTER SCHEMA ann OWNER TO ben; SET search_path = ann, tools; REASSIGN OWNED BY ann TO ben});
refused('ben', q{SELECT tagrec_rollback('shared')}, qr/If the change of owner is intended, call tagrec_deploy\(\) as a superuser or as a role with the privileges of both/,
	'a model that was given away');
super(q{SELECT tools.tagrec_deploy('shared', 2)});
works('ben', q{SELECT tagrec_rollback('shared')}, '... is its new owner\'s when that is settled');
super(q{REASSIGN OWNED BY ann TO ben; DROP OWNED BY ann; DROP ROLE ann});
works('ben', q{SELECT tagrec_deploy('secret', 1)}, '... or when the old one is gone');

# nothing left
super(q{SET client_min_messages = error; DROP SCHEMA ann CASCADE});
refused('mallory', q{SELECT tagrec_drop('shared')}, qr/must be owner of model "shared"/, 'what is left of a model');
works('ben', q{SELECT tagrec_drop('shared')}, '... is removed by who owned it');
works('keeper', q{SELECT tagrec_drop('secret')}, '... or by the database\'s owner');
gives('keeper', $models, 'bens', '... and nothing else is left');
gives('keeper', $jobs, 'bens long secret shared', '... but the jobs, for the database\'s owner');
gives('ben', $jobs, 'bens', '... and the own ones, for others');

# the view that says who may use a model is one
works('ben', q{DROP VIEW bens_item_embedding; CREATE TABLE bens_item_embedding (item_id text, embedding real[])}, 'a table in a view\'s place');
refused('ben', q{SELECT * FROM tagrec_recommend('bens', 1)}, qr/relation "ben\.bens_item_embedding" of model "bens" is not a view/, '... is not a model\'s');

# ---------------------------------------------------------------- the extension is made anew

$session = $node->background_psql('kept', on_error_stop => 0);
$session->query_safe(q{SET client_min_messages = error; SELECT tools.tagrec_train('new', 'a', 'popularity')});
super(q{DROP EXTENSION tagrec CASCADE; CREATE EXTENSION tagrec SCHEMA public});
$session->query(q{SELECT tagrec_recommend('new', 1)});
like($session->{stderr}, qr/model "new" does not exist/, 'an open session sees the new registry');
$session->{stderr} = '';
is($session->query(q{SELECT tagrec_train('newer', 'a', 'popularity')}), '1', '... and trains there');
$session->quit;

$node->stop;
done_testing();
