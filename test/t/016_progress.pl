# How far a job is: within an epoch and a closed form, while it reads, while it measures; in tagrec_jobs, in pg_stat_activity
# and in the notices of a call that waits. Everything is polled for; nothing is measured.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->start;

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 2000 AS item_id, 't' || (u + k) % 300 AS tag
		FROM generate_series(1, 3000) u, generate_series(1, 20) k;
	-- a source that takes its time, a batch of rows after the other
	CREATE VIEW slow AS SELECT user_id, item_id, tag FROM (SELECT *, row_number() OVER () AS n FROM a) b
		WHERE CASE WHEN n % 5000 = 0 THEN pg_sleep(0.6)::text = '' ELSE true END;
});

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub submit
{
	my ($source, $algorithm, $options) = @_;
	return query("SELECT tagrec_train('m', '$source', '$algorithm', '$options', wait => false)");
}

sub appears
{
	my ($condition, $what) = @_;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM tagrec_jobs WHERE $condition"), $what);
}

sub cancel
{
	my ($job) = @_;
	query("SELECT tagrec_cancel($job)");
	appears("job = $job AND state = 'cancelled'", '... and it is cancelled within the epoch');
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'});
}

# ---- within the first epoch, which takes minutes
my $job = submit('a', 'hdlpr_ns', '{"layers": [2000, 300], "batch": 1, "batch_by": "pairs", "temperature": 0.1, "epochs": 7}');
appears("job = $job AND unit = 'pairs' AND done > 0 AND done < total AND epoch IS NULL AND rows_per_second > 0",
	'pairs done of an epoch that is not over');
my ($done, $at) = split /\|/, query("SELECT done, progress_at FROM tagrec_jobs WHERE job = $job");
appears("job = $job AND done > $done AND progress_at > '$at'", '... more and more, and progress_at goes on');
is(query("SELECT total FROM tagrec_jobs WHERE job = $job"), query('SELECT count(DISTINCT (user_id, item_id)) FROM a'),
	'... of all pairs');
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tagrec worker'
		   AND query ~ 'training model m, epoch 1 of 7: \\d+ of \\d+ pairs, \\d+ pairs/s, \\d+ s left'}),
	'... which the worker says, too');
cancel($job);

# ---- a closed form, of one epoch
$job = submit('a', 'ease', '{"method": "primal", "lambda": 10}');
appears("job = $job AND (state = 'done' OR unit IN ('rows', 'features'))", 'rows of a matrix to invert');
query("CALL tagrec_wait($job)");
is(query("SELECT state, unit IS NULL, done IS NULL FROM tagrec_jobs WHERE job = $job"), 'done|t|t', '... of which nothing is left to tell');

# ---- reading
$job = submit('slow', 'popularity', '{}');
appears("job = $job AND phase = 'reading' AND progress_at IS NOT NULL", 'a job that reads');
$at = query("SELECT progress_at FROM tagrec_jobs WHERE job = $job");
appears("job = $job AND phase = 'reading' AND progress_at > '$at'", '... and says that it goes on');
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tagrec worker' AND query ~ 'reading: \\d+0000 rows'}),
	'... and how much was read');
query("CALL tagrec_wait($job)");

# ---- reading attributes, until it is cancelled
query(q{CREATE VIEW slow_items AS SELECT item_id, 'kind ' || n % 7 AS kind FROM
	(SELECT item_id, row_number() OVER () AS n FROM (SELECT DISTINCT item_id FROM a) i) b
	WHERE CASE WHEN n % 500 = 0 THEN pg_sleep(1)::text = '' ELSE true END});
$job = query(q{SELECT tagrec_train('m', 'a', 'tag_cosine', item_features => 'slow_items', wait => false)});
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tagrec worker' AND query ~ 'reading: \\d+000 rows of items'}),
	'rows of attributes that were read');
cancel($job);

# ---- a call that waits
my ($status, $out, $err) = $node->psql('postgres',
	q{SET tagrec.progress_interval = 0;
	  SELECT tagrec_train('m', 'slow', 'hdlpr_ns', '{"layers": [2000, 300], "epochs": 2, "batch": 50, "batch_by": "pairs", "temperature": 0.1, "validation": 0.1}')});
is($status, 0, 'a training with notices');
like($err, qr/NOTICE:  reading: \d+ rows/, '... while it reads');
like($err, qr/NOTICE:  epoch 1 of 2: \d+ of \d+ pairs, \d+ pairs\/s, \d+ s left/, '... within an epoch');
like($err, qr/NOTICE:  epoch 1 of 2: loss/, '... and after it');

done_testing();
