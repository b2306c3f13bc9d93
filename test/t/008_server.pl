# A training and what happens to the server around it: the postmaster dies, the library is preloaded, objects and roles that
# a job needs go away, everything is published, many jobs come at once.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "tagrec.threads = 2\nshared_preload_libraries = 'tagrec'\nmax_worker_processes = 12\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
});

my $long = q{'{"epochs": 100000, "layers": [64, 32], "batch": 16}'};
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tagrec worker'};

# Submits a training that does not end by itself; returns its job when it trains.
sub start_training
{
	my ($model, $database, @more) = @_;
	my $job = $node->safe_psql($database, "SELECT tagrec_train('$model', 'a', 'hdlpr_ns', $long, wait => false)", @more);
	$node->poll_query_until($database, "SELECT phase = 'training' AND epoch > 0 FROM tagrec_jobs WHERE job = $job")
	  or die 'the job does not start';
	return $job;
}

# A process that nobody has reaped yet has ended, too.
sub has_ended
{
	my $pid = shift;
	return 1 unless kill 0, $pid;
	return -r "/proc/$pid/stat" && slurp_file("/proc/$pid/stat") =~ /^\d+ \(.*\) Z/s;
}

# ---------------------------------------------------------------- the postmaster

my $job = start_training('m', 'postgres');
my $pid = $node->safe_psql('postgres', $worker);

SKIP:
{
	skip 'no /proc here', 2 unless -d "/proc/$pid/task";
	my @threads = glob('/proc/' . (slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/)[0] . '/task/*');
	is(scalar(@threads), 1, 'preloaded, the library starts no thread in the postmaster');
	@threads = glob("/proc/$pid/task/*");
	cmp_ok(scalar(@threads), '>', 1, '(a worker that trains has some)');
}

# As often as it takes: what lived on keeps the server from starting.
sub again
{
	my $step = shift;
	for (my $i = 0; $i < 10 * $PostgreSQL::Test::Utils::timeout_default; $i++)
	{
		return 1 if $step->();
		usleep(100_000);
	}
	return 0;
}

$node->kill9;
my $ended = again(sub { has_ended($pid) });
ok($ended, 'a worker ends when the postmaster has died');
kill 9, $pid unless $ended;
ok( again(
		sub {
			return 1 if $node->start(fail_ok => 1);
			# the file of the dead one's number is still there
			$node->{_pid} = undef;
			return 0;
		}),
	'... so the server can be started');
is($node->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job"), 'lost', '... its job is lost');
$node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity')});
is($node->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models}), '1', '... and the server trains again');

# ---------------------------------------------------------------- what a job needs goes away

sub query
{
	return $node->safe_psql('postgres', shift);
}

sub ends
{
	my ($state, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT state = '$state' FROM tagrec_jobs WHERE job = $job"), $what)
	  or diag query("SELECT state, message FROM tagrec_jobs WHERE job = $job");
	return;
}

# While somebody holds the registry's table, a trained model cannot be written yet.
my $gate = $node->background_psql('postgres', on_error_stop => 1);

# Trains a model to a schema; returns its job when it is about to be written.
sub start_held
{
	my ($schema, @more) = @_;
	$gate->query_safe('BEGIN; LOCK TABLE tagrec_model IN SHARE MODE');
	my $held = $node->safe_psql('postgres', qq(SELECT tagrec_train('held', 'a', 'popularity', '{"schema": "$schema"}', wait => false)),
		@more);
	$node->poll_query_until('postgres', "SELECT phase = 'writing' FROM tagrec_jobs WHERE job = $held") or die 'the job does not get there';
	return $held;
}

# no lock on the source is held while it trains
query('CREATE TABLE source AS TABLE a');
$job = query("SELECT tagrec_train('m', 'source', 'hdlpr_ns', $long, wait => false)");
$node->poll_query_until('postgres', "SELECT epoch > 0 FROM tagrec_jobs WHERE job = $job");
is($node->psql('postgres', q{SET lock_timeout = '5s'; ALTER TABLE source DROP COLUMN tag; DROP TABLE source}),
	0, 'the source is altered and dropped while it is trained on');
is(query("SELECT state FROM tagrec_jobs WHERE job = $job"), 'running', '... and the job goes on');
query("SELECT tagrec_cancel($job)");
ends('cancelled', '... until it is cancelled');

# the schema, and the role
query('CREATE SCHEMA doomed; CREATE ROLE leaver LOGIN; CREATE SCHEMA leaver AUTHORIZATION leaver; GRANT SELECT ON a TO leaver');
$job = start_held('doomed');
query('DROP SCHEMA doomed CASCADE');
$gate->query_safe('COMMIT');
ends('failed', 'a job whose schema is dropped fails');
is(query("SELECT message FROM tagrec_jobs WHERE job = $job"), 'schema "doomed" does not exist', '... and says why');
$job = start_held('leaver', extra_params => [ '-U', 'leaver' ]);
query('REASSIGN OWNED BY leaver TO CURRENT_USER; DROP OWNED BY leaver; DROP ROLE leaver');
$gate->query_safe('COMMIT');
$gate->quit;
ends('failed', 'a job whose role is dropped fails');
is(query(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'leaver'::regnamespace}), '0', '... and leaves nothing');
is(query("SELECT role || sqlstate FROM tagrec_jobs WHERE job = $job"), 'leaver42501', '... but a row that says whose it was');

# the extension
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE postgres');
start_training('x', 'other');
is($node->psql('other', q{SET client_min_messages = error; SET lock_timeout = '5s'; DROP EXTENSION tagrec CASCADE}),
	0, 'DROP EXTENSION … CASCADE while a job runs');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM ($worker) w"), '... whose worker ends');
my ($ret, $stdout, $stderr) = $node->psql('other', q{CREATE EXTENSION tagrec; SELECT tagrec_train('m', 'a', 'popularity')});
like($stderr, qr/relation "public.m_user_versions" already exists\nDETAIL:  Model "m" needs this name, .*HINT:  .*if it was left by a removed installation of tagrec/s,
	'... and what models are left is told from what a new installation makes');
is($node->safe_psql('other', q{SELECT count(*) FROM tagrec_jobs}), '0', '... which knows nothing of the old jobs');

# an object of somebody else's under the name of one of tagrec's
$node->safe_psql('postgres', 'CREATE DATABASE taken');
$node->safe_psql('taken', 'CREATE TABLE tagrec_job (request text)');
($ret, $stdout, $stderr) = $node->psql('taken', 'CREATE EXTENSION tagrec');
like($stderr, qr/relation "tagrec_job" already exists/, 'CREATE EXTENSION takes over nothing that is there');

# an idle server with the library preloaded holds on to no database
is($node->psql('postgres', 'DROP DATABASE other; DROP DATABASE taken'), 0, 'databases without a job are dropped');

# ---------------------------------------------------------------- a dump while a job runs

$job = start_training('m', 'postgres');
my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump while a job runs');
query("SELECT tagrec_cancel($job)");
query('CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $dump ], '... is restored');
is($node->safe_psql('restored', q{SELECT count(*) FROM tagrec_jobs WHERE state NOT IN ('done', 'failed', 'cancelled')}),
	'0', '... without the job');
is($node->safe_psql('restored', q{SELECT count(*) FROM tagrec_recommend('m', 1, 3)}), '3', '... with the model');
cmp_ok($node->safe_psql('restored', q{SELECT tagrec_train('m', 'a', 'popularity')}), '>', $job, '... whose next job has a new number');
ends('cancelled', '(the job ends)');
query('DROP DATABASE restored');

# ---------------------------------------------------------------- a source that is somewhere else

SKIP:
{
	skip 'postgres_fdw is not installed', 3
	  unless query(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'});
	query(sprintf q{
		CREATE EXTENSION postgres_fdw;
		CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%s', dbname 'postgres');
		CREATE USER MAPPING FOR CURRENT_USER SERVER loop;
		CREATE FOREIGN TABLE far (user_id int, item_id text, tag text) SERVER loop OPTIONS (table_name 'a');
		CREATE FOREIGN TABLE nowhere (user_id int, item_id text, tag text) SERVER loop OPTIONS (table_name 'b')},
		$node->host, $node->port);
	query(q{SELECT tagrec_train('near', 'a', 'item_knn'), tagrec_train('far', 'far', 'item_knn')});
	is(query(q{SELECT users || ' ' || assignments FROM tagrec_versions WHERE model = 'far'}),
		query(q{SELECT users || ' ' || assignments FROM tagrec_versions WHERE model = 'near'}), 'a foreign table is a source');
	is(query(q{SELECT count(*) FROM (TABLE far_item_neighbour EXCEPT TABLE near_item_neighbour) x}), '0', '... like any other');
	($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('nowhere', 'nowhere', 'popularity')});
	like($stderr, qr/ERROR:  relation "public.b" does not exist\nCONTEXT:  remote SQL command/, '... whose errors arrive');
	query(q{SELECT tagrec_drop('near'), tagrec_drop('far')});
}

# ---------------------------------------------------------------- a database of another encoding

query(q{CREATE DATABASE euc ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('euc', q{
	SET client_encoding = 'UTF8';
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT nullif(u, 100) AS user_id, '日本' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	CREATE VIEW known AS SELECT * FROM a WHERE user_id IS NOT NULL;
	CREATE VIEW unnamed AS SELECT user_id, nullif(item_id, '日本7') AS item_id, tag FROM known});
is($node->safe_psql('euc', q{SET client_encoding = 'UTF8'; SELECT count(o::text) > 0, count(DISTINCT a::text) > 0 FROM tagrec_options o JOIN tagrec_algorithms a USING (algorithm)}),
	't|t', 'in a database of another encoding, the options can be read');
$node->safe_psql('euc', q{SELECT tagrec_train('m', 'known', 'popularity')});
like($node->safe_psql('euc', q{SET client_encoding = 'UTF8'; SELECT item FROM tagrec_recommend('m', 1, 1)}), qr/^日本\d+$/, '... models trained');
foreach my $call (
	[ q{tagrec_train('x', 'unnamed', 'popularity')}, qr/HINT:  Exclude these rows with a view/ ],
	[ q{tagrec_train('x', 'a', '{}')}, qr/DETAIL:  Specify options by name/ ],
	[ q{tagrec_train('x', 'a', 'blend', '{"members": ""}')}, qr/HINT:  Specify members as/ ],
	[ q{tagrec_tune('x', 'a', space => '{"layers": {"min": 1, "max": 2}}')}, qr/HINT:  Specify a list of choices/ ],
	[ q{tagrec_evaluate('m', 'a')}, qr/HINT:  Exclude these rows with a view/ ])
{
	($ret, $stdout, $stderr) = $node->psql('euc', "SET client_encoding = 'UTF8'; SELECT $call->[0]");
	like($stderr, $call->[1], "... and errors, of $call->[0]");
}
query('DROP DATABASE euc');

# ---------------------------------------------------------------- everything is published

query('CREATE PUBLICATION everything FOR ALL TABLES');
query($_) foreach (
	q{SELECT tagrec_train('p', 'a', 'hdlpr_ns', '{"layers": [4], "epochs": 2, "keep_versions": 0}')},
	q{SELECT tagrec_train('p', 'a', 'item_knn', '{"keep_versions": 0}')},
	q{SELECT tagrec_tune('p', 'a', space => '{"epochs": [1, 2]}', trials => 2, options => '{"layers": [4]}')},
	q{SELECT tagrec_refresh('p')},
	q{SELECT tagrec_rollback('p')},
	q{SELECT tagrec_rename('p', 'q')},
	q{SELECT tagrec_drop('q')});
is(query(q{SELECT count(*) FROM tagrec_models WHERE model IN ('p', 'q')}), '0', 'models live and die in tables that are published');

# ---------------------------------------------------------------- many at once

# more than there are slots, from sessions at the same time; some roll back, some are refused
my $script = PostgreSQL::Test::Utils::tempdir() . '/enqueue.sql';
append_to_file($script, q{
	BEGIN;
	SELECT tagrec_train('c' || :client_id, 'a', 'popularity', wait => false);
	SELECT CASE WHEN :client_id % 4 = 3 THEN 1 / 0 END;
	END;
});
my $last = query('SELECT max(job) FROM tagrec_jobs');
IPC::Run::run([ 'pgbench', '-n', '-c', '8', '-t', '8', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \'', '>', \$stdout, '2>', \$stderr);
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM ($worker) w"), 'many jobs, more than there are slots, end');
# what stayed queued when the last worker looked is taken by the next
query(q{SELECT tagrec_train('m', 'a', 'popularity')});
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM ($worker) w");
is(query("SELECT string_agg(DISTINCT state, ' ') FROM tagrec_jobs WHERE job > $last"), 'done', '... all of them done');
like($stderr, qr/division by zero/, '(some sessions fail)');
is(query("SELECT count(*) FROM tagrec_jobs WHERE job > $last AND model LIKE 'c%'"), 6 * 8, '... those whose transactions committed');
is( query("SELECT count(*) FROM tagrec_jobs j WHERE job > $last AND model LIKE 'c%'
		AND version IS DISTINCT FROM (SELECT count(*) FROM tagrec_jobs k WHERE k.model = j.model AND k.version <= j.version AND k.job > $last)"),
	'0', '... each of them once');

$node->stop;
done_testing();
