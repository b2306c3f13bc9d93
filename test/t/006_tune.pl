# Tuning: what a client that waits is told; trials that were done outlive a cancel, a termination, a crash, and a dump.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('tune');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\nrestart_after_crash = on\n");
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
});

# with this seed, the fifth trial is the one that does not end by itself
sub tune
{
	my ($model, $trials, $more) = @_;
	return "SELECT tagrec_tune('$model', 'a', 'hdlpr_ns', '{\"epochs\": [2, 3, 4, 100000]}', $trials,"
	  . " '{\"epochs\": 1, \"layers\": [64, 32], \"batch\": 16, \"validation\": 0.2, \"patience\": 0}', seed => 2" . ($more // '') . ')';
}

sub query
{
	return $node->safe_psql('postgres', shift);
}

# Starts a tuning that nobody waits for; returns its job when it is at its fifth trial.
sub start
{
	my $model = shift;
	my $job = query(tune($model, 5, ', wait => false'));
	$node->poll_query_until('postgres',
		"SELECT state = 'running' AND phase = 'trial 5 of 5' AND epoch > 0 FROM tagrec_jobs WHERE job = $job")
	  or die 'the tuning does not get there';
	return $job;
}

sub check_kept
{
	my ($job, $what) = @_;
	is(query("SELECT array_agg(trial ORDER BY trial) FROM tagrec_trials WHERE job = $job AND state = 'done'"),
		'{1,2,3,4}', "$what: the trials that were done are kept");
	return;
}

sub check_resumed
{
	my ($model, $job, $what) = @_;
	my $again = query(tune($model, 4));
	is(query("SELECT count(*) FROM tagrec_trials WHERE job = $again AND done_by = $job"),
		'4', "$what: the next tuning takes them over");
	is(query("SELECT count(*) FROM tagrec_epochs WHERE job = $again AND trial IS NOT NULL"), '0', '... trains none of them again');
	is(query("SELECT deployed FROM tagrec_versions WHERE job = $again"), 't', '... and deploys the best');
	is( query("SELECT v.epochs = t.best_epoch FROM tagrec_versions v JOIN tagrec_trials t USING (job) WHERE v.job = $again AND t.best"),
		't', '... trained as long as was best');
	return;
}

# ---------------------------------------------------------------- what is told

my ($ret, $stdout, $stderr) = $node->psql('postgres', 'SET tagrec.progress_interval = 0; ' . tune('told', 4));
is($ret, 0, 'a tuning');
like($stderr, qr{NOTICE:  trial 1 of 4: ndcg\@20 \d\.\d{4}, best \d\.\d{4}, \d+ s left\nDETAIL:  Its settings are \{\}\.},
	'a client that waits is told of each trial');
like($stderr, qr{NOTICE:  trial 4 of 4, epoch \d of \d: loss}, '... and of its epochs');
like($stderr, qr{NOTICE:  best of 4 trials is trial \d: ndcg\@20 \d\.\d{4}}, '... which is the best');
like($stderr, qr{NOTICE:  trained version 1 of model "told"}, '... and what was trained');
($ret, $stdout, $stderr) = $node->psql('postgres', "SET tagrec.progress_interval = '1h'; " . tune('told', 4, ', resume => false'));
unlike($stderr, qr{trial \d of}, 'tagrec.progress_interval says how often');

($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('chosen', 'a', 'auto',
	'{"candidates": "popularity, ease, hdlpr_ns, user_knn", "max_seconds": 1.5, "validation_every": 100000, "epochs": 100000, "sample": 900}')});
is($ret, 0, 'auto');
like($stderr, qr{NOTICE:  algorithm "(?:popularity|ease)" ranks \d+ held-out pairs best: ndcg\@20 \d\.\d{4}}, '... says what it chooses');
like($stderr, qr{\nDETAIL:  Tried on \d{3} of 1000 pairs, with standard errors: popularity \d\.\d{4} \(0\.\d{4}\) in \d+\.\d s, ease \d\.\d{4} \(0\.\d{4}\) in \d+\.\d s,},
	'... and what it tried');
like($stderr, qr{s, hdlpr_ns: stopped after \d\.\d s, user_knn: not tried: the trials before took \d\.\d s\.\n}, '... and what not, and why');
like($stderr, qr{\nHINT:  (?:tagrec_refresh\(\) adds users and items that come later|Items that come later)}, '... and what becomes of new users and items');

($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('early', 'a', 'hdlpr_ns',
	'{"validation": 0.2, "layers": 8, "epochs": 2000, "patience": 1, "learning_rate": 0.1}')});
like($stderr, qr{NOTICE:  trained version 1 of model "early" in \d+\.\d s: ndcg\@20 \d\.\d{4} in epoch (\d+), stopped after (\d+) of 2000 epochs\n},
	'a training says how good the model is, and how long it was trained');
$stderr =~ m{in epoch (\d+), stopped after (\d+) of};
is($2, $1 + 1, '... with the best epoch');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('closed', 'a', 'ease', '{"validation": 0.2}')});
like($stderr, qr{NOTICE:  trained version 1 of model "closed" in \d+\.\d s: ndcg\@20 \d\.\d{4}\n}, '... of a closed form there is one epoch');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SET tagrec.progress_interval = 0; SELECT tagrec_train('parts', 'a', 'blend',
	'{"members": "bpr epochs=3; ease", "validation": 0.2}')});
like($stderr, qr{NOTICE:  epoch 2 of \d+: loss [^\n]* pairs/s\n}, 'the epochs of a part of a blend say nothing of the time that is left');

# ---------------------------------------------------------------- what outlives the job

my $job = start('cancelled');
like(query(q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'tagrec worker'}),
	qr{^tagrec job $job trial 5/5 epoch \d+/100000$}, 'pg_stat_activity shows the trial');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT * FROM tagrec_recommend('cancelled', 1)});
like($stderr, qr{model "cancelled" is still being trained for the first time\nDETAIL:  Job $job is running \(trial 5 of 5\)\.},
	'... and so does the error of who asks the model already');
is(query("SELECT tagrec_cancel($job)"), 't', 'tagrec_cancel');
ok($node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM tagrec_jobs WHERE job = $job"), '... ends it');
check_kept($job, 'tagrec_cancel');
is(query(q{SELECT count(*) FROM tagrec_models WHERE model = 'cancelled'}), '0', '... nothing is deployed');
check_resumed('cancelled', $job, 'tagrec_cancel');

my $client = $node->background_psql('postgres', on_error_stop => 0);
$client->query_until(qr//, "SET application_name = waiting;\n" . tune('interrupted', 5) . ";\n");
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM tagrec_jobs WHERE model = 'interrupted' AND phase = 'trial 5 of 5' AND epoch > 0}),
	'a tuning that is waited for');
$job = query(q{SELECT job FROM tagrec_jobs WHERE model = 'interrupted'});
query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'waiting'});
ok($node->poll_query_until('postgres', "SELECT state = 'cancelled' FROM tagrec_jobs WHERE job = $job"), 'Ctrl-C ends it');
eval { $client->quit };
check_kept($job, 'Ctrl-C');
check_resumed('interrupted', $job, 'Ctrl-C');

$job = start('terminated');
query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'tagrec worker'});
ok($node->poll_query_until('postgres', "SELECT state = 'failed' FROM tagrec_jobs WHERE job = $job"), 'termination of the worker ends it');
check_kept($job, 'termination');
check_resumed('terminated', $job, 'termination');

$job = start('killed');
kill 9, query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tagrec worker'});
# not by asking it: psql fails when it is refused before it has read what to ask
ok($node->wait_for_log(qr/reinitializing.*ready to accept connections/s), 'the server is back after kill -9');
is(query("SELECT state FROM tagrec_jobs WHERE job = $job"), 'lost', 'the tuning is lost');
check_kept($job, 'kill -9');
($ret, $stdout, $stderr) = $node->psql('postgres', "CALL tagrec_wait($job)");
like($stderr, qr/HINT:  Call the function again with the same arguments/, '... and tagrec_wait says what to do');
check_resumed('killed', $job, 'kill -9');

# ---------------------------------------------------------------- trials that cannot be taken over

# What a client is told when earlier trials are like this.
sub told
{
	my ($change, $pattern, $what) = @_;
	query($change);
	my ($ret, $stdout, $stderr) = $node->psql('postgres', tune('other', 2));
	like($stderr, $pattern, $what);
	is(query(q{SELECT count(*) FROM tagrec_trials WHERE job = (SELECT max(job) FROM tagrec_jobs) AND done_by <> job}), '0', '... and they are not');
	return;
}

($ret, $stdout, $stderr) = $node->psql('postgres', tune('other', 2));
unlike($stderr, qr/cannot be reused/, 'a first tuning has nothing to say of others');
my $refused = qr/NOTICE:  2 trials of earlier tunings of model "other" cannot be reused\nDETAIL:  Results would not be comparable/;
told(q{UPDATE tagrec_trial SET device = 'cuda'}, qr/$refused: 2 of them on device cuda instead of cpu\./, 'trials of another device');
told(q{UPDATE tagrec_trial SET library = '0.0.1'}, qr/$refused: 2 of them by tagrec 0\.0\.1 instead of \d/, 'trials of another version');
told(q{INSERT INTO a VALUES (1, 'more', 't1')}, qr/$refused: 2 of them on other data\./, 'trials on other data');
($ret, $stdout, $stderr) = $node->psql('postgres', tune('other', 2));
unlike($stderr, qr/cannot be reused/, 'those that can be');
is(query(q{SELECT count(*) FROM tagrec_trials WHERE job = (SELECT max(job) FROM tagrec_jobs) AND done_by < job}), '2', '... are');
query(q{DELETE FROM a WHERE item_id = 'more'});

# ---------------------------------------------------------------- what a dump contains

my $trials = q{SELECT array_agg((j.job, t.trial, t.state, t.settings, t.value) ORDER BY j.job, t.trial) FROM tagrec_trials t
	JOIN tagrec_job j USING (job) WHERE j.state = 'done'};
my $before = query($trials);
command_ok([ 'pg_dump', '-Fc', '-f', $node->basedir . '/dump', '-d', $node->connstr('postgres') ], 'a dump');
query('CREATE DATABASE restored');
command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $node->basedir . '/dump' ], '... is restored');
is($node->safe_psql('restored', $trials), $before, '... with the trials');

done_testing();
