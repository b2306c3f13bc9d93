# Evaluation on real data: the figures of an independent implementation, and what the default preset is worth.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Lastfm;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

Lastfm::need_data();

my $node = PostgreSQL::Test::Cluster->new('lastfm');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 2\nclient_min_messages = warning\n");
$node->start;

# ---------------------------------------------------------------- the data and its split

my $rows = Lastfm::rows();
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION tagrec;
	CREATE TABLE raw (user_id int, item_id int, tag int);
	COPY raw FROM '$rows';
	CREATE TABLE posts AS SELECT DISTINCT * FROM raw;
	DELETE FROM posts WHERE tag IN (SELECT tag FROM posts GROUP BY tag HAVING count(*) < 5);
	CREATE VIEW train AS SELECT * FROM posts WHERE tagrec_fold(user_id, item_id) < 80;
	CREATE VIEW valid AS SELECT * FROM posts WHERE tagrec_fold(user_id, item_id) BETWEEN 80 AND 84;
	CREATE VIEW test AS SELECT * FROM posts WHERE tagrec_fold(user_id, item_id) >= 85;
});
my $count = q{SELECT count(*), count(DISTINCT (user_id, item_id)), count(DISTINCT user_id) FROM };
is($node->safe_psql('postgres', $count . 'train'), '139732|54508|1726', 'the training part');
is($node->safe_psql('postgres', $count . 'valid'), '9068|3445|810', 'the validation part');
is($node->safe_psql('postgres', $count . 'test'), '26841|10318|1176', 'the test part');

# ---------------------------------------------------------------- popularity, against the other implementation

$node->safe_psql('postgres', q{SELECT tagrec_train('popular', 'train', 'popularity')});

# metric and k of a figure => value
sub evaluate
{
	my ($model, $test) = @_;
	my $text = $node->safe_psql('postgres', "SELECT metric || coalesce('\@' || k, ''), value FROM tagrec_evaluate('$model', '$test')");
	return map { split /\|/ } split /\n/, $text;
}

my %warm = evaluate('popular', 'test');
is($warm{users} + $warm{unknown_users}, 1176, 'all users are accounted for');
is($warm{pairs} + $node->safe_psql(
		'postgres', 'SELECT count(DISTINCT (user_id, item_id)) FROM test WHERE user_id NOT IN (SELECT user_id FROM popular_user_v1)'),
	10318, '... and so are all pairs');

# The other implementation offers popular items to users that it has never seen, too; tagrec_evaluate leaves them out. These
# users' share, from everybody's list.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE cold AS
	WITH list AS (SELECT item_id, row_number() OVER (ORDER BY posts DESC, item_id) AS rank FROM popular_item_v1)
	SELECT DISTINCT user_id, item_id, rank FROM test LEFT JOIN list USING (item_id)
	WHERE user_id NOT IN (SELECT user_id FROM popular_user_v1);
	CREATE FUNCTION cold_users(length int) RETURNS TABLE (users float8, pairs float8, mrr float8, rr float8, p float8, r float8, ndcg float8)
	LANGUAGE sql AS $$
		SELECT count(*), sum(n), sum(coalesce(1.0 / first, 0)), sum(rr), sum(hits / length), sum(hits / n),
			sum(gain / (SELECT sum(1 / ln(place + 1)) FROM generate_series(1, length) place WHERE place <= n))
		FROM (SELECT count(*)::float8 AS n, min(rank) AS first, coalesce(sum(1.0 / rank), 0) AS rr,
				count(*) FILTER (WHERE rank <= length)::float8 AS hits,
				coalesce(sum(1 / ln(rank + 1)) FILTER (WHERE rank <= length), 0) AS gain
			FROM cold GROUP BY user_id) AS u
	$$;});

sub with_cold_users
{
	my ($k) = @_;
	my ($users, $pairs, $mrr, $rr, $p, $r, $ndcg) =
	  split /\|/, $node->safe_psql('postgres', "SELECT * FROM cold_users($k)");
	my $all = $warm{users} + $users;
	return (
		'mrr' => ($warm{mrr} * $warm{users} + $mrr) / $all,
		'mrr_pair' => ($warm{mrr_pair} * $warm{pairs} + $rr) / ($warm{pairs} + $pairs),
		"precision\@$k" => ($warm{"precision\@$k"} * $warm{users} + $p) / $all,
		"recall\@$k" => ($warm{"recall\@$k"} * $warm{users} + $r) / $all,
		"ndcg\@$k" => ($warm{"ndcg\@$k"} * $warm{users} + $ndcg) / $all);
}

my %expected = (
	mrr => .0785, mrr_pair => .0134,
	'precision@5' => .0257, 'recall@5' => .0337, 'ndcg@5' => .0372,
	'precision@10' => .0243, 'recall@10' => .0538, 'ndcg@10' => .0447,
	'precision@20' => .0209, 'recall@20' => .0858, 'ndcg@20' => .0537,
	'precision@50' => .0160, 'recall@50' => .1423, 'ndcg@50' => .0689);
my %got = map { with_cold_users($_) } (5, 10, 20, 50);
foreach my $figure (sort keys %expected)
{
	cmp_ok(abs($got{$figure} - $expected{$figure}), '<=', .0000501, sprintf('popularity: %s = %.4f', $figure, $got{$figure}));
}

# ---------------------------------------------------------------- collaborative baselines, against the other implementation

# To users that nobody knows they offer everything alike, which is in the order of the keys.
$node->safe_psql(
	'postgres', q{
	UPDATE cold SET rank = list.rank
	FROM (SELECT item_id, row_number() OVER (ORDER BY item_id) AS rank FROM popular_item_v1) list WHERE list.item_id = cold.item_id;});

foreach my $case (
	[ 'item_knn', '{"neighbours": 0}', .002, .0869, .1417, .1222 ],
	[ 'user_knn', '{"neighbours": 0}', .002, .1017, .1710, .1388 ],
	# the other one keeps all weights; this one 500 an item
	[ 'ease', '{"lambda": 300}', .02, .1207, .1990, .1604 ],
	# both start from random numbers, and not from the same
	[ 'ials', '{"alpha": 0.1, "regularization": 0.02}', .04, .1167, .1909, .1540 ])
{
	my ($algorithm, $options, $tolerance, @expected) = @$case;
	$node->safe_psql('postgres', "SELECT tagrec_train('known', 'train', '$algorithm', '$options')");
	%warm = evaluate('known', 'test');
	my %values = with_cold_users(20);
	foreach my $figure ('ndcg@20', 'mrr', 'recall@20')
	{
		my $value = shift @expected;
		cmp_ok(abs($values{$figure} / $value - 1), '<=', $tolerance, sprintf("$algorithm: %s = %.4f, there %.4f", $figure, $values{$figure}, $value));
	}
}

# ---------------------------------------------------------------- the default preset

my ($ret, $stdout, $stderr) = $node->psql('postgres',
	q{SET client_min_messages = notice; SELECT tagrec_train('deep', 'train', 'hdlpr_ns', options => '{"validation_source": "valid"}')});
is($ret, 0, 'the default preset trains');
like($stderr, qr/ignoring 253 of 3445 pairs in validation_source/, '... and tells what it is not validated on');
note($stderr);

my $start = time();
my %deep = evaluate('deep', 'test');
my $seconds = time() - $start;
note(sprintf('%s = %.4f', $_, $deep{$_})) foreach sort keys %deep;
cmp_ok($deep{'ndcg@20'}, '>=', .070, sprintf('NDCG@20 is %.4f', $deep{'ndcg@20'}));
note(sprintf('%d users and 11,356 items are evaluated in %.2f s', $deep{users}, $seconds));
is( $node->safe_psql('postgres', q{SELECT low > 0, users FROM tagrec_compare('{deep,popular}', 'test')}),
	"t|$deep{users}", 'it is better than popularity, beyond doubt');

$node->stop;
done_testing();
