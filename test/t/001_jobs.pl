# Jobs: when one starts, what others see of it while it runs, what is left of it after a failure.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('jobs');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\nrestart_after_crash = on\nmax_prepared_transactions = 1\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
});

# enough epochs for any test to end it long before it ends by itself
my $long = q{'{"epochs": 100000, "layers": [64, 32], "batch": 16}'};

sub state_of
{
	my $job = shift;
	return $node->safe_psql('postgres', "SELECT state FROM tagrec_jobs WHERE job = $job");
}

sub wait_for_state
{
	my ($job, $state) = @_;
	return $node->poll_query_until('postgres', "SELECT state = '$state' FROM tagrec_jobs WHERE job = $job");
}

# ---------------------------------------------------------------- a job belongs to the transaction that submits it

my $session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe('BEGIN');
my $job = $session->query_safe(q{SELECT tagrec_train('committed', 'a', 'popularity', wait => false)});
is($node->safe_psql('postgres', 'SELECT count(*) FROM tagrec_jobs'), '0', 'a job is not visible before the commit');
# more than there are slots
$session->query_safe(q{SELECT tagrec_train('more' || i, 'a', 'popularity', wait => false) FROM generate_series(1, 20) i});
$node->safe_psql('postgres', q{SELECT tagrec_train('other', 'a', 'popularity')});
is($node->safe_psql('postgres', q{SELECT state FROM tagrec_jobs WHERE model = 'other'}), 'done', '... and takes no slot');
$session->query_safe('COMMIT');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 22 FROM tagrec_jobs WHERE state = 'done'}), 'all of them run after it');
ok(wait_for_state($job, 'done'), 'the job runs after the commit');
is($node->safe_psql('postgres', q{SELECT count(*) FROM committed_item_embedding}), '50', 'the model is there');

$session->query_safe('BEGIN');
$job = $session->query_safe(q{SELECT tagrec_train('rolled_back', 'a', 'popularity', wait => false)});
$session->query_safe('ROLLBACK');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	'after a rollback the worker ends');
is($node->safe_psql('postgres', "SELECT count(*) FROM tagrec_jobs WHERE job = $job"), '0', '... and there is no job');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'rolled_back%'}),
	'0', '... and no relation');

# a savepoint counts as well
$session->query_safe('BEGIN; SAVEPOINT s');
$job = $session->query_safe(q{SELECT tagrec_train('rolled_back', 'a', 'popularity', wait => false)});
$session->query_safe('ROLLBACK TO s; CREATE TABLE other (x int); COMMIT');
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	'after a rollback to a savepoint the worker ends');
is($node->safe_psql('postgres', "SELECT count(*) FROM tagrec_jobs WHERE job = $job"), '0', '... and there is no job');

$session->query_safe('BEGIN; SAVEPOINT s; SAVEPOINT t');
$job = $session->query_safe(q{SELECT tagrec_train('released', 'a', 'popularity', wait => false)});
$session->query_safe('RELEASE t; RELEASE s; COMMIT');
ok(wait_for_state($job, 'done'), 'a savepoint that is released keeps its job');

my ($ret, $stdout, $stderr) = $node->psql('postgres',
	q{BEGIN; SELECT tagrec_train('prepared', 'a', 'popularity', wait => false); PREPARE TRANSACTION 'p'});
like($stderr, qr/cannot PREPARE a transaction that has submitted a tagrec job/, 'a transaction with a job cannot be prepared');

# ---------------------------------------------------------------- waiting

$job = $node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity', wait => false)});
$node->safe_psql('postgres', "CALL tagrec_wait($job, '60s')");
is(state_of($job), 'done', 'tagrec_wait waits for the end of a job');

($ret, $stdout, $stderr) = $node->psql('postgres',
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; CALL tagrec_wait($job, '10s'); COMMIT");
is($ret, 0, 'tagrec_wait works in a transaction with a snapshot of its own');

($ret, $stdout, $stderr) = $node->psql('postgres',
	q{SET tagrec.progress_interval = 0; SELECT tagrec_train('told', 'a', 'hdlpr_ns', '{"epochs": 3, "validation": 0.2}')});
like($stderr, qr{NOTICE:  epoch 1 of 3: loss \d+\.\d+, ndcg\@20 \d\.\d+, \d+ pairs/s, \d+ s left},
	'a client that waits is told how far the training is');
like($stderr, qr/NOTICE:  trained version 1 of model "told" in \d+\.\d s/, '... and what was trained');
($ret, $stdout, $stderr) = $node->psql('postgres',
	q{SET tagrec.progress_interval = '1h'; SELECT tagrec_train('told', 'a', 'hdlpr_ns', '{"epochs": 3}')});
unlike($stderr, qr/epoch \d/, 'tagrec.progress_interval says how often');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SET tagrec.progress_interval = 0; SELECT tagrec_train('told', 'a', 'popularity')});
unlike($stderr, qr/epoch \d/, 'a closed form has no epochs left to speak of');
is($node->safe_psql('postgres', "SELECT epoch || '/' || epochs FROM tagrec_jobs ORDER BY job DESC LIMIT 1"), '1/1', '... and its job none to do');
($ret, $stdout, $stderr) = $node->psql('postgres',
	q{SET tagrec.progress_interval = 0; SELECT tagrec_train('told', 'a', 'hdlpr_ns', '{"epochs": 50, "stop_after": 2}')});
like($stderr, qr/epoch 1 of 2: .*\n(?!.*epoch)/, 'the option stop_after ends a training');

# ---------------------------------------------------------------- while a job trains

$job = $node->safe_psql('postgres', "SELECT tagrec_train('m', 'a', 'hdlpr_ns', $long, wait => false)");
ok( $node->poll_query_until('postgres', "SELECT epoch > 0 FROM tagrec_jobs WHERE job = $job"),
	'the job tells how far it is');
ok( $node->poll_query_until(
		'postgres', q{SELECT backend_xmin IS NULL AND backend_xid IS NULL AND xact_start IS NULL FROM pg_stat_activity
		WHERE backend_type = 'tagrec worker'}),
	'no transaction is open while it trains');
my $open = $node->safe_psql(
	'postgres', q{
	DO $$
	DECLARE
		seen int := 0;
	BEGIN
		FOR i IN 1 .. 100 LOOP
			PERFORM pg_stat_clear_snapshot();
			seen := seen + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'tagrec worker'
				AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL));
			PERFORM pg_sleep(0.02);
		END LOOP;
		IF seen > 20 THEN
			RAISE EXCEPTION 'a transaction was open in % of 100 looks', seen;
		END IF;
	END $$;
	SELECT 'rarely'});
is($open, 'rarely', '... but for the tiny ones that record it');
like($node->safe_psql('postgres', q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	qr/^tagrec job $job epoch \d+\/100000$/, 'pg_stat_activity shows the job and its epoch');
is($node->safe_psql('postgres', q{SELECT version FROM tagrec_versions WHERE model = 'm' AND deployed}),
	'1', 'queries use the old version meanwhile');

($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_drop('m')});
like($stderr, qr/model "m" is being trained by job $job/, 'a model in training cannot be dropped');

($ret, $stdout, $stderr) = $node->psql('postgres', "CALL tagrec_wait($job, '0.5s')");
like($stderr, qr/job $job did not finish within the timeout/, 'tagrec_wait gives up after its timeout');
is(state_of($job), 'running', '... and the job goes on');

# ---------------------------------------------------------------- a worker that dies

$session->quit;
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tagrec worker'});
kill 9, $pid;
# not by asking it: psql fails when it is refused before it has read what to ask
ok($node->wait_for_log(qr/reinitializing.*ready to accept connections/s), 'the server is back after kill -9');
is(state_of($job), 'lost', 'the job of a killed worker is lost');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'm\_%\_v2'}),
	'0', '... and left no relation');
($ret, $stdout, $stderr) = $node->psql('postgres', "CALL tagrec_wait($job, '60s')");
like($stderr, qr/job $job is lost/, 'tagrec_wait says so');
is($node->safe_psql('postgres', "SELECT tagrec_cancel($job)"), 'f', 'there is nothing to cancel');
$node->safe_psql('postgres', q{SELECT tagrec_train('m', 'a', 'popularity')});
is($node->safe_psql('postgres', q{SELECT version FROM tagrec_versions WHERE model = 'm' AND deployed}),
	'2', 'the model can be trained again');
$node->safe_psql('postgres', q{SELECT tagrec_drop('m')});

# ---------------------------------------------------------------- memory

SKIP:
{
	skip 'no /proc here', 2 unless -r '/proc/meminfo';
	my ($all) = slurp_file('/proc/meminfo') =~ /^MemTotal: *(\d+) kB/m;
	my $last = q{SELECT request ->> 'max_memory' FROM tagrec_job ORDER BY job DESC LIMIT 1};
	$node->safe_psql('postgres', q{SELECT tagrec_train('memory', 'a', 'popularity')});
	my $half = $node->safe_psql('postgres', $last);
	ok($half > 0 && $half <= $all / 2048, "a training may take half of the machine's memory, or less: $half MB");
	$node->safe_psql('postgres', q{SELECT tagrec_drop('memory'); SET tagrec.max_memory = 0; SELECT tagrec_train('memory', 'a', 'popularity')});
	is($node->safe_psql('postgres', $last), '0', '... unless somebody says otherwise');
}

# ---------------------------------------------------------------- limits of a role

$node->safe_psql('postgres', 'CREATE ROLE limited LOGIN; CREATE SCHEMA limited AUTHORIZATION limited; GRANT SELECT ON a TO limited;
	ALTER ROLE limited SET tagrec.max_running_jobs = 1; ALTER ROLE limited SET tagrec.max_queued_jobs = 2;
	ALTER ROLE limited SET tagrec.max_finished_jobs = 1');
my @limited = (extra_params => [ '-U', 'limited' ]);
my $limited_long = $node->safe_psql('postgres', "SELECT tagrec_train('l', 'a', 'hdlpr_ns', $long, wait => false)", @limited);
wait_for_state($limited_long, 'running');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('n', 'a', 'popularity')}, @limited);
like($stderr, qr/ERROR:  too many running jobs for role "limited"\nDETAIL:  1 job is running, and tagrec.max_running_jobs is 1\./, 'a role runs no more jobs than it may');
my @waiting = map { $node->safe_psql('postgres', "SELECT tagrec_train('n$_', 'a', 'popularity', wait => false)", @limited) } (1, 2);
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('n', 'a', 'popularity', wait => false)}, @limited);
like($stderr, qr/ERROR:  too many queued jobs for role "limited"\nDETAIL:  2 jobs are queued, and tagrec.max_queued_jobs is 2\./, '... nor queues more');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT count(*) FROM tagrec_algorithms; SET tagrec.max_queued_jobs = 1000}, @limited);
like($stderr, qr/permission denied to set parameter/, '... and cannot help itself');
$node->safe_psql('postgres', q{SELECT tagrec_train('unlimited', 'a', 'popularity')});
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	'others are not kept, and what waits takes no slot');
is(state_of($_), 'queued', '... but stays queued') foreach @waiting;
$node->safe_psql('postgres', "SELECT tagrec_cancel($limited_long)", @limited);
ok(wait_for_state($_, 'done'), '... until there is room') foreach @waiting;

# finished jobs: one, beside those of versions; the two that are left have each a model
ok( $node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}), '(they end)');
$node->psql('postgres', q{CREATE VIEW limited.none AS SELECT 1 / (1 - 1) AS user_id, 1 AS item_id, 1 AS tag});
$node->psql('postgres', q{GRANT SELECT ON limited.none TO limited});
$node->psql('postgres', q{SELECT tagrec_train('f', 'limited.none', 'popularity')}, @limited) foreach 1 .. 3;
is( $node->safe_psql('postgres', q{SELECT string_agg(model || ' ' || state, ', ' ORDER BY job) FROM tagrec_jobs WHERE role = 'limited'}),
	'n1 done, n2 done, f failed, f failed', 'finished jobs go, but for the last ones and those of versions');

# ---------------------------------------------------------------- no slot

$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0\n");
$node->restart;
my @jobs =
  map { $node->safe_psql('postgres', "SELECT tagrec_train('q$_', 'a', 'hdlpr_ns', $long, wait => false)") } (1, 2);
wait_for_state($_, 'running') foreach @jobs;
($ret, $stdout, $stderr) =
  $node->psql('postgres', q{SELECT tagrec_train('queued', 'a', 'popularity', wait => false)});
like($stderr, qr/NOTICE:  job \d+ remains queued/, 'without a free slot a job stays queued');
like($stderr, qr/HINT:  .*max_worker_processes \(now 2\)/, '... and the hint names the setting');
my $queued = $stdout;
is(state_of($queued), 'queued', '... and its state says so');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_recommend('queued', 1)});
like($stderr, qr/model "queued" is waiting to be trained/, 'asking its model says so as well');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('now', 'a', 'popularity')});
like($stderr, qr/out of background worker slots/, 'waiting for a job without a slot is an error');
is($node->safe_psql('postgres', "SELECT tagrec_cancel($jobs[0])"), 't', 'a running job is cancelled');
ok(wait_for_state($queued, 'done'), 'its slot goes to the queued job');

# in the only slot that is left, one after the other: what the code of the first one's source does to its session
$node->safe_psql(
	'postgres', q{
	CREATE TABLE seen (pid int, setting text, role text, temporary bool, prepared bigint, locked bigint);
	CREATE TABLE late (x int);
	CREATE FUNCTION leave_late() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('search_path', 'nowhere', false), set_config('role', 'limited', false);
		RETURN NULL;
	END $$;
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leave_late();
	CREATE FUNCTION leave() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.seen SELECT pg_backend_pid(), current_setting('left.here', true), current_user,
			to_regclass('pg_temp.left_here') IS NOT NULL, (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
			(SELECT count(*) FROM pg_locks l WHERE l.pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid < 3);
		INSERT INTO public.late VALUES (1);
		PERFORM set_config('left.here', 'yes', false), set_config('role', 'limited', false);
		PERFORM pg_advisory_lock(1);
		EXECUTE 'PREPARE left_here AS SELECT 1';
		RESET ROLE;
		CREATE TEMP TABLE left_here ();
		PERFORM set_config('role', 'limited', false);
		RETURN 't';
	END $$;
	CREATE VIEW leaving AS SELECT user_id, item_id, CASE WHEN user_id = 1 AND item_id = 'i8' THEN public.leave() ELSE tag END AS tag FROM a});
my @leaving = split /\n/, $node->safe_psql('postgres',
	q{SELECT tagrec_train('leaving' || i, 'leaving', 'popularity', wait => false) FROM generate_series(1, 2) i});
ok(wait_for_state($_, 'done'), 'two jobs in one slot, one after the other') foreach @leaving;
is( $node->safe_psql('postgres', 'SELECT count(DISTINCT pid), count(nullif(setting, \'\')), bool_or(temporary), max(prepared), max(locked),
		count(DISTINCT role) FROM seen'),
	'2|0|f|0|0|1', 'nothing that the code of a source does reaches the next job');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM tagrec_models WHERE model ~ '^leaving' AND owner <> current_user}), '0',
	'... nor what the same job does next');
$node->safe_psql('postgres', "SELECT tagrec_cancel($_)") foreach @jobs;

# slots become free, but no worker of the queued job's role is there to take it
$node->safe_psql('postgres', 'CREATE ROLE other LOGIN; CREATE SCHEMA other AUTHORIZATION other; GRANT SELECT ON a TO other');
@jobs = map { $node->safe_psql('postgres', "SELECT tagrec_train('q$_', 'a', 'hdlpr_ns', $long, wait => false)") } (1, 2);
wait_for_state($_, 'running') foreach @jobs;
$queued = $node->safe_psql('postgres', q{SELECT tagrec_train('others', 'a', 'popularity', '{"schema": "other"}', wait => false)},
	extra_params => [ '-U', 'other' ]);
($ret, $stdout, $stderr) = $node->psql('postgres', "CALL tagrec_wait($queued, '1.5s')", extra_params => [ '-U', 'other' ]);
like($stderr, qr/job $queued did not finish within the timeout/, 'without a slot, a job that is waited for stays queued');
$node->safe_psql('postgres', "SELECT tagrec_cancel($_)") foreach @jobs;
ok( $node->poll_query_until(
		'postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	'... and the slots become free');
is(state_of($queued), 'queued', '... for which nobody has told it');
$node->safe_psql('postgres', "CALL tagrec_wait($queued, '60s')", extra_params => [ '-U', 'other' ]);
is(state_of($queued), 'done', '... until who waits for it starts a worker');

# ---------------------------------------------------------------- the server stops

$job = $node->safe_psql('postgres', "SELECT tagrec_train('stop', 'a', 'hdlpr_ns', $long, wait => false)");
wait_for_state($job, 'running');
$node->stop('fast');
$node->start;
is(state_of($job), 'failed', 'a fast shutdown ends the job');
is($node->safe_psql('postgres', "SELECT sqlstate FROM tagrec_jobs WHERE job = $job"), '57P01', '... and it says why');

done_testing();
