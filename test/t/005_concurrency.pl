# Queries while a model is trained again: nobody fails, nobody waits, and a snapshot that cannot be served says so.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('concurrency');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\nmax_worker_processes = 40\nmax_parallel_workers = 16\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	SELECT tagrec_train('m', 'a', 'popularity')});

# keeping no old version is the hardest case: what a query is about to read may be dropped
sub train_again
{
	$node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity', '{"keep_versions": 0}')});
	return;
}

# ---------------------------------------------------------------- many sessions

my $scripts = PostgreSQL::Test::Utils::tempdir();
append_to_file("$scripts/recommend.sql",
	"\\set u random(1, 100)\nSELECT 1 / count(*) FROM tagrec_recommend('m', :u, 3, false);\n");
append_to_file("$scripts/view.sql", "SELECT 1 / count(*) FROM m_item_embedding;\n");
append_to_file("$scripts/users.sql", "SELECT 1 / count(*) FROM m_user_embedding;\n");

my $parallel = ($node->pg_version >= 16 ? '-c debug_parallel_query=on' : '-c force_parallel_mode=on')
  . ' -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0 -c max_parallel_workers_per_gather=2';

foreach (['simple', ''], ['prepared', ''], ['simple', $parallel])
{
	my ($mode, $settings) = @$_;
	my ($stdout, $stderr) = ('', '');
	local $ENV{PGOPTIONS} = "-c statement_timeout=10s $settings";
	my $bench = IPC::Run::start(
		[
			'pgbench', '-n', '-c', '4', '-T', '4', '-M', $mode,
			'-f', "$scripts/recommend.sql", '-f', "$scripts/view.sql", '-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \'', '>', \$stdout, '2>', \$stderr);
	{
		local $ENV{PGOPTIONS} = '';
		train_again() foreach 1 .. 15;
	}
	$mode .= ', in parallel' if $settings;
	ok($bench->finish, "queries ($mode) go on while the model is trained again");
	unlike($stderr, qr/ERROR/, '... without an error') or diag $stderr;
	like($stdout, qr/transactions actually processed: [1-9]\d\d/, '... many of them');
}

# ---------------------------------------------------------------- a reader that is idle in its transaction

sub versions
{
	return $node->safe_psql('postgres', q{SELECT count(*) FROM tagrec_versions WHERE model = 'm'});
}

my $idle = $node->background_psql('postgres', on_error_stop => 0);
$idle->query_safe('BEGIN; SELECT count(*) FROM m_user_embedding; SELECT count(*) FROM m_item_embedding');
{
	my ($stdout, $stderr) = ('', '');
	# who waits behind a lock that waits for the idle reader gets an error; the end of a commit is sooner
	local $ENV{PGOPTIONS} = '-c lock_timeout=50ms';
	my $bench = IPC::Run::start(
		[
			'pgbench', '-n', '-c', '2', '-T', '2', '-f', "$scripts/recommend.sql", '-f', "$scripts/view.sql", '-f',
			"$scripts/users.sql", '-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \'', '>', \$stdout, '2>', \$stderr);
	{
		local $ENV{PGOPTIONS} = '';
		train_again() foreach 1 .. 5;
	}
	ok($bench->finish, 'nobody waits behind a version that cannot be dropped');
	unlike($stderr, qr/ERROR/, '... which would be an error here') or diag $stderr;
}
cmp_ok(versions(), '>', 5, '... which stays');
$idle->query_safe('COMMIT');
train_again();
is(versions(), '1', '... until the next training');

$idle->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
train_again() foreach 1 .. 6;
is(versions(), '3', 'what a snapshot may still see as deployed stays, but no more than two');
$idle->query_safe('COMMIT');
train_again();
is(versions(), '1', '... while it lives');
$idle->quit;

# ---------------------------------------------------------------- a snapshot older than what is left

my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_safe(
	q{BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM generate_series(1, 3) u, LATERAL tagrec_recommend('m', u, 2)});
train_again() foreach 1 .. 3;
is($session->query_safe('FETCH c'), '6', 'a statement whose version has been taken away gets the one deployed by now');
$session->query_safe('COMMIT');

$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
train_again();
is($session->query_safe(q{SELECT count(*) FROM tagrec_recommend('m', 1, 1)}), '1', 'a version that was replaced just now is still there');
$session->query_safe('COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
train_again() foreach 1 .. 3;
my ($stdout, $failed) = $session->query(q{SELECT tagrec_recommend('m', 1, 1)});
like($session->{stderr}, qr/ERROR:  version \d+ of model "m" was dropped after this transaction started/,
	'a transaction with a snapshot of its own is told to begin again');
$session->query('ROLLBACK');

# a query holds its version until the transaction ends
$session->{stderr} = '';
$session->query_safe('BEGIN');
$session->query_safe(q{SELECT count(*) FROM tagrec_recommend('m', 1, 2)});
my $held = $node->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models});
train_again();
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_class WHERE relname = 'm_user_v$held'}),
	'1', 'a version in use is left to the next training');
$session->query_safe('COMMIT');
train_again();
is($node->safe_psql('postgres', qq{SELECT count(*) FROM pg_class WHERE relname = 'm_user_v$held'}), '0', '... which takes it away');
$session->quit;

# ---------------------------------------------------------------- a drop and a training

# Starts a statement that will wait for a lock.
sub start_waiting
{
	my ($sql, $out) = @_;
	my $client = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \'', '>', $out, '2>&1');
	$node->poll_query_until('postgres',
		q{SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND backend_type = 'client backend'})
	  or die 'nobody waits';
	return $client;
}

my $dropping = $node->background_psql('postgres', on_error_stop => 1);
$node->safe_psql('postgres', q{SELECT tagrec_train('d', 'a', 'popularity')});
my $out = '';
foreach my $sql (q{SELECT tagrec_train('d', 'a', 'popularity')}, q{SELECT tagrec_refresh('d')})
{
	$dropping->query_safe(q{BEGIN; SELECT tagrec_drop('d')});
	my $client = start_waiting($sql, \$out);
	$dropping->query_safe('ROLLBACK');
	$client->finish;
	unlike($out, qr/ERROR/, 'a training that meets a drop that is rolled back goes on') or diag $out;

	$dropping->query_safe(q{BEGIN; SELECT tagrec_drop('d')});
	$client = start_waiting($sql, \$out);
	$dropping->query_safe('COMMIT');
	$client->finish;
	like($out, qr/ERROR:  40001: model "d" was concurrently dropped/, '... and else says so');
	$node->safe_psql('postgres', q{SELECT tagrec_train('d', 'a', 'popularity')});
}

# the drop has begun before the job, and has the model when the job comes to write
$dropping->query_safe(q{BEGIN; SELECT FROM tagrec_model WHERE model = 'd' FOR UPDATE});
my $client = start_waiting(q{SELECT tagrec_drop('d')}, \$out);
my $job = $node->safe_psql('postgres', q{SELECT tagrec_train('d', 'a', 'popularity', wait => false)});
$node->poll_query_until('postgres', "SELECT phase = 'writing' FROM tagrec_jobs WHERE job = $job") or die 'the job does not get there';
$dropping->query_safe('COMMIT');
$client->finish;
like($out, qr/ERROR:  55006: model "d" is being trained by job $job/, 'a drop that meets a training is refused');
$node->safe_psql('postgres', "CALL tagrec_wait($job, '60s')");
is($node->safe_psql('postgres', q{SELECT deployed_version FROM tagrec_models WHERE model = 'd'}), '2', '... which goes on');
$dropping->quit;

done_testing();
