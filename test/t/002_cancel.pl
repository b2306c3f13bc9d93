# Ending a training: by tagrec_cancel, by the client that waits, by the client's death, by an administrator.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('cancel');
$node->init;
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	-- a source that takes its time, so that a job can be stopped while it reads
	CREATE VIEW slow AS SELECT * FROM a WHERE pg_sleep(0.1)::text = '';
});

my $long = q{'{"epochs": 100000, "layers": [64, 32], "batch": 16}'};

my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

# far above the two seconds that are promised, far below the length of the job
my $bound = 20;

# Submits a training in its own psql, which waits for it; returns the handle when the job trains.
sub start_waiting
{
	my ($source, $phase, $sql) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT COALESCE(max(job), 0) FROM tagrec_jobs');
	my %client = (in => '', out => '', err => '');
	$client{handle} = IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SET application_name = waiting',
			'-c', $sql // "SELECT tagrec_train('m', '$source', 'hdlpr_ns', $long)"
		],
		'<', \$client{in}, '>', \$client{out}, '2>', \$client{err});
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM tagrec_jobs WHERE job > $before AND state = 'running' AND phase = '$phase'")
	  or die 'the job does not start';
	$client{job} = $node->safe_psql('postgres', 'SELECT max(job) FROM tagrec_jobs');
	return \%client;
}

sub finish_client
{
	my $client = shift;
	eval { $client->{handle}->finish };
	return $client->{err};
}

sub gone
{
	my ($job, $state, $what) = @_;
	my $start = time;
	ok($node->poll_query_until('postgres', "SELECT state = '$state' FROM tagrec_jobs WHERE job = $job"),
		"$what: the job is $state");
	cmp_ok(time - $start, '<', $bound, '... soon');
	ok( $node->poll_query_until(
			'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
		'... its worker is gone');
	is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'm\_%'}),
		'0', '... and nothing is left behind');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM tagrec_models}), '0', '... in the registry either');
}

foreach my $case ([ 'a', 'training' ], [ 'slow', 'reading' ])
{
	my ($source, $phase) = @$case;

	my $client = start_waiting($source, $phase);
	is($node->safe_psql('postgres', "SELECT tagrec_cancel($client->{job})"), 't', "tagrec_cancel while $phase");
	gone($client->{job}, 'cancelled', 'tagrec_cancel');
	like(finish_client($client), qr/ERROR:  job $client->{job} was cancelled/, '... and the waiting client is told');

	$client = start_waiting($source, $phase);
	$node->safe_psql('postgres',
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'});
	gone($client->{job}, 'cancelled', 'Ctrl-C of the waiting client');
	like(finish_client($client), qr/ERROR:  canceling statement due to user request/, '... which says so');

	$client = start_waiting($source, $phase);
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'});
	gone($client->{job}, 'cancelled', 'end of the waiting session');
	finish_client($client);

	$client = start_waiting($source, $phase);
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'tagrec worker'});
	gone($client->{job}, 'failed', 'termination of the worker');
	like(finish_client($client), qr/ERROR:  job $client->{job} failed because its worker was terminated/,
		'... and the waiting client is told');
}

# no notice is sent in time to tell the server that the client is gone
my $client = start_waiting('a', 'training',
	"SET tagrec.progress_interval = '1h'; SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long)");
$client->{handle}->kill_kill;
gone($client->{job}, 'cancelled', 'kill -9 of the waiting client');

$client = start_waiting('a', 'training', "SET statement_timeout = '1s'; SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long)");
gone($client->{job}, 'cancelled', 'statement_timeout');
like(finish_client($client), qr/ERROR:  canceling statement due to statement timeout/, '... and the client is told');

# an error handler of the caller ends the statement, not the session
$client = start_waiting('a', 'training', qq{
	DO \$\$ BEGIN
		PERFORM tagrec_train('m', 'a', 'hdlpr_ns', $long);
	EXCEPTION WHEN query_canceled THEN
		RAISE NOTICE 'caught';
	END \$\$});
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'});
gone($client->{job}, 'cancelled', 'Ctrl-C inside an exception block');
like(finish_client($client), qr/NOTICE:  caught/, '... which goes on');

# nobody waits
my $job = $node->safe_psql('postgres', "SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long, wait => false)");
$node->poll_query_until('postgres', "SELECT phase = 'training' FROM tagrec_jobs WHERE job = $job");
is($node->safe_psql('postgres', "SELECT tagrec_cancel($job)"), 't', 'tagrec_cancel of a job nobody waits for');
gone($job, 'cancelled', 'tagrec_cancel');
my ($ret, $stdout, $stderr) = $node->psql('postgres', "CALL tagrec_wait($job)");
like($stderr, qr/ERROR:  job $job was cancelled/, 'tagrec_wait raises the cancellation');
($ret, $stdout, $stderr) = $node->psql('postgres', "SELECT tagrec_cancel($job)");
is($stdout, 'f', 'a cancelled job cannot be cancelled again');
like($stderr, qr/NOTICE:  job $job is not running/, '... which is said');

# over and over: what comes while the end is being written down does not keep it from being written
foreach my $round (1 .. 5)
{
	$job = $node->safe_psql('postgres', "SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long, wait => false)");
	$node->poll_query_until('postgres', "SELECT phase = 'training' FROM tagrec_jobs WHERE job = $job");
	$node->safe_psql(
		'postgres', qq{
		SET client_min_messages = warning;
		DO \$\$ BEGIN
			WHILE tagrec_cancel($job) LOOP
				PERFORM pg_sleep(0.0002);
			END LOOP;
		END \$\$});
	gone($job, 'cancelled', "tagrec_cancel, many times, round $round");
}

# before its transaction has committed
is( $node->safe_psql(
		'postgres', q{
		BEGIN;
		CREATE TEMP TABLE j AS SELECT tagrec_train('m', 'a', 'popularity', wait => false) AS job;
		SELECT tagrec_cancel(job) FROM j;
		COMMIT}),
	't', 'a job is cancelled in the transaction that submits it');
gone($node->safe_psql('postgres', 'SELECT max(job) FROM tagrec_jobs'), 'cancelled', 'cancelled before it could start');

# the worker does not keep a database from being dropped
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE postgres');
$node->safe_psql('other', "SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long, wait => false)");
$node->poll_query_until('other', q{SELECT phase = 'training' FROM tagrec_jobs WHERE state = 'running'});
is($node->psql('postgres', 'DROP DATABASE other WITH (FORCE)'), 0, 'DROP DATABASE … WITH (FORCE) ends a worker');

# none of all this has taken the server down
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not been started again');
like(slurp_file($node->data_dir . '/postmaster.pid'), qr/^$postmaster\n/, '... by the same postmaster');
unlike(slurp_file($node->logfile), qr/terminating any other active server processes|was terminated by signal/, '... nor its processes');

done_testing();
