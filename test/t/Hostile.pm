# For tests of what a model's owner can make others run: mallory, who owns models, and the spy that her code calls.
#
# The spy writes to the server's log as whom it runs, so that nothing that is rolled back is missed, and takes what it can get:
# the session's search_path and role, and, with the right, superuser for mallory.
package Hostile;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(setup_roles setup_database as_role in_turn log_end spied serving managing $settled $is_settled);

sub setup_roles
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE ROLE victim LOGIN SUPERUSER;
		CREATE ROLE alice LOGIN;
		CREATE ROLE mallory LOGIN;
		CREATE ROLE boss LOGIN;
		CREATE ROLE gang NOLOGIN;
		GRANT mallory TO boss;
		GRANT gang TO mallory});
	return;
}

# As a role, in a database: exit status, output and messages. An error does not end the script.
sub as_role
{
	my ($node, $role, $database, $sql) = @_;
	my ($stdout, $stderr);
	my $ret = $node->psql($database, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-U', $role ]);
	return ($ret, $stdout, $stderr);
}

# The data that everybody may read, and the tools of mallory. Functions that say they are immutable may stand in an index; they
# call others, which write.
sub setup_database
{
	my ($node, $database) = @_;
	$node->safe_psql($database, q{
		CREATE EXTENSION tagrec;
		CREATE TABLE public.a AS SELECT u AS user_id, (u * 7 + k * k) % 20 AS item_id, 't' || (u + k) % 8 AS tag
			FROM generate_series(1, 30) u, generate_series(1, 5) k;
		CREATE TABLE public.test AS SELECT u AS user_id, (u * 3) % 20 AS item_id, 't' || u % 8 AS tag FROM generate_series(1, 30) u;
		GRANT SELECT ON public.a, public.test TO mallory, alice;
		CREATE FUNCTION public.lowered(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN lower($1); END';
		CREATE VIEW public.lowering AS SELECT user_id, item_id, public.lowered(tag) AS tag FROM public.a;
		CREATE SCHEMA mallory AUTHORIZATION mallory;
		GRANT USAGE ON SCHEMA mallory TO alice, gang;
		GRANT CREATE ON SCHEMA mallory TO gang;
		CREATE FOREIGN DATA WRAPPER dummy;
		CREATE SERVER dummy FOREIGN DATA WRAPPER dummy;
		GRANT USAGE ON FOREIGN SERVER dummy TO mallory;
		SET ROLE mallory;
		CREATE FUNCTION mallory.spy(place text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			RAISE LOG 'SPY|%|%|%|', place, current_user, session_user;
			IF session_user <> 'mallory' THEN
				BEGIN
					PERFORM pg_catalog.set_config('search_path', 'mallory, pg_catalog, public', false);
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
				BEGIN
					PERFORM pg_catalog.set_config('role', 'none', false);
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
				BEGIN
					ALTER ROLE mallory SUPERUSER;
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
				-- what would run later, at the end of the transaction, as who ends it
				BEGIN
					INSERT INTO mallory.later VALUES (place);
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
				BEGIN
					EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT mallory.finally()';
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
			END IF;
		END $$;
		CREATE FUNCTION mallory.yes(place text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.spy(place); RETURN true; END';
		CREATE FUNCTION mallory.same(value anyelement, place text) RETURNS anyelement IMMUTABLE LANGUAGE plpgsql AS
			'BEGIN PERFORM mallory.yes(place); RETURN value; END';
		CREATE FUNCTION mallory.lower(text) RETURNS text LANGUAGE plpgsql AS
			$$BEGIN PERFORM mallory.spy('lower'); RETURN 'taken'; END$$;
		CREATE FUNCTION mallory.fire() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.spy('trigger'); RETURN NEW; END$$;
		CREATE TABLE mallory.later (place text);
		CREATE FUNCTION mallory.late() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			RAISE LOG 'SPY|% and at the commit|%|%|', NEW.place, current_user, session_user;
			ALTER ROLE mallory SUPERUSER;
			RETURN NULL;
		EXCEPTION WHEN OTHERS THEN RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER late AFTER INSERT ON mallory.later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.late();
		CREATE FUNCTION mallory.finally() RETURNS int LANGUAGE plpgsql AS $$
		BEGIN
			RAISE LOG 'SPY|a cursor at the commit|%|%|', current_user, session_user;
			ALTER ROLE mallory SUPERUSER;
			RETURN 1;
		EXCEPTION WHEN OTHERS THEN RETURN 1;
		END $$;
		CREATE FUNCTION mallory.each(kind text, command text) RETURNS void LANGUAGE plpgsql AS $$
		DECLARE
			r record;
		BEGIN
			FOR r IN SELECT c.oid::regclass AS relation, c.relname FROM pg_class c WHERE c.relnamespace = 'mallory'::regnamespace
				AND c.relname ~ CASE kind WHEN 'parent' THEN '_(user|item|tag|weight|neighbour)_versions$'
					WHEN 'partition' THEN '_(user|item|tag|weight|neighbour)_v1$' WHEN 'items' THEN '_item_versions$'
					WHEN 'users' THEN '_user_versions$' ELSE '_embedding$' END AND c.relkind IN ('r', 'p', 'v') LOOP
				EXECUTE format(replace(command, '%%', '%1$s'), r.relation, r.relname, replace(r.relname, '_v1', '_versions'));
			END LOOP;
		END $$;
		RESET ROLE});
	my ($ret, $stdout, $stderr) = as_role($node, 'mallory', $database, q{
		SET search_path = mallory, public;
		} . in_turn(q{'net', 'public.a', 'hdlpr_ns', '{"layers": [4], "epochs": 1}'}, q{'near', 'public.a', 'item_knn'}, q{'labels', 'public.a', 'tag_product'}) . q{
		GRANT SELECT ON net_item_embedding, near_item_embedding, labels_item_embedding TO alice});
	die $stderr if $stderr =~ /ERROR/;
	return;
}

# Trainings that wait for each other, as there is one worker only.
sub in_turn
{
	return join('', map { "SELECT public.tagrec_train($_, wait => false) AS job \\gset\nCALL public.tagrec_wait(:job);\n" } @_);
}

# ---------------------------------------------------------------- what was seen

sub log_end
{
	my ($node) = @_;
	return -s $node->logfile;
}

# Since then: each place from which the spy was called, with "place: current_user in session_user's session".
sub spied
{
	my ($node, $since) = @_;
	my %seen;
	my $log = slurp_file($node->logfile, $since);
	$seen{"$1: $2 in a session of $3"} = 1 while $log =~ /SPY\|([^|%]*)\|([^|%]*)\|([^|%]*)\|/g;
	return sort keys %seen;
}

# ---------------------------------------------------------------- what a victim does

our $settled = q{SELECT current_setting('search_path'), current_user, current_setting('role'), lower('X'::text)};

# What the above shows for a role whose session is as it was.
our $is_settled = sub { my ($role) = @_; return qq{"\$user", public|$role|none|x}; };

# Statements that ask the models; the ids are SQL.
sub serving
{
	my ($user, $item) = @_;
	my @asked = (
		"tagrec_recommend('net', $user, 3)", "tagrec_recommend('net', $user, 3, true, ARRAY[$item\::text])",
		"tagrec_recommend_as($item, 'net', $user, 3)", "tagrec_recommend_all('net', 1)",
		"tagrec_recommend_for_tags('net', '{t1}', n => 2)", "tagrec_similar_items('net', $item, 2)",
		"tagrec_similar_users('net', $user, 2)", "tagrec_score('net', $user, $item)", "tagrec_embed('net', '{t1}')",
		"tagrec_explain('net', $user, $item, 2)", "tagrec_feature_tags('net', 1, 2)", "tagrec_evaluate('net', 'public.test')",
		"tagrec_recommend('near', $user, 3)", "tagrec_recommend_all('near', 1)", "tagrec_similar_items('near', $item, 2)",
		"tagrec_score('near', $user, $item)",
		"tagrec_evaluate('near', 'public.test')", "tagrec_recommend_tags('labels', $user, $item, 2)",
		"tagrec_recommend_tags('labels', $user, $item, 2, '{t1}')", "tagrec_evaluate('labels', 'public.test')",
		"tagrec_compare('{net,near}', 'public.test')");
	return join('; ', 'SET client_min_messages = error', map { "SELECT count(*) FROM public.$_ x" } @asked) . ';';
}

# What a superuser may do with somebody else's model in his own session.
sub managing
{
	return join('; ', map { "SELECT public.$_" } "tagrec_deploy('net', 1)", "tagrec_rollback('near')", "tagrec_rename('labels', 'tickets')",
		"tagrec_drop('net')", "tagrec_drop('near')", "tagrec_drop('tickets')") . ';';
}

1;
