# The task tag on real data: leave one tag out of the 5-core, and the figures of an independent implementation.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Lastfm;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

Lastfm::need_data();

my $node = PostgreSQL::Test::Cluster->new('lastfm_tags');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 2\nclient_min_messages = warning\n");
$node->start;

# Tags are ranked by their text where they tie, and the other implementation by their number: six digits make them agree.
my $rows = Lastfm::rows();
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION tagrec;
	CREATE TABLE raw (user_id int, item_id int, tag int);
	COPY raw FROM '$rows';
	CREATE TABLE posts AS SELECT DISTINCT user_id, item_id, lpad(tag::text, 6, '0') AS tag FROM raw;
});

# ---------------------------------------------------------------- the core

my $counts = q{SELECT users, items, tags, assignments, pairs FROM tagrec_versions WHERE deployed AND model = };
foreach my $core ([ 5, '1348|6927|2132|162047|59849' ], [ 10, '966|3870|1204|133945|48578' ])
{
	my ($k, $expected) = @$core;
	$node->safe_psql('postgres', qq{SELECT tagrec_train('core', 'posts', 'tag_popular', '{"core": $k}')});
	is($node->safe_psql('postgres', "$counts 'core'"), $expected, "the $k-core");
}
my ($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT tagrec_train('core', 'posts', 'tag_popular', '{"core": 500}')});
like($stderr, qr/no assignments are left to train on.*fewer than 500 assignments reduced 186479 rows to \d+(, \d+)*, 0\./s,
	'a core that is too much to ask says how many rows each round left');

# what the option does, in SQL: posts becomes its 5-core
$node->safe_psql(
	'postgres', q{
	DO $$ DECLARE gone bigint;
	BEGIN
		LOOP
			DELETE FROM posts WHERE user_id IN (SELECT user_id FROM posts GROUP BY 1 HAVING count(*) < 5)
				OR item_id IN (SELECT item_id FROM posts GROUP BY 1 HAVING count(*) < 5)
				OR tag IN (SELECT tag FROM posts GROUP BY 1 HAVING count(*) < 5);
			GET DIAGNOSTICS gone = ROW_COUNT;
			EXIT WHEN gone = 0;
		END LOOP;
	END $$;
	CREATE TABLE split AS SELECT *, row_number() OVER (PARTITION BY user_id, item_id
		ORDER BY tagrec_holdout(user_id, item_id, tag::int), tag) = 1 AS held_out FROM posts;
	CREATE VIEW train AS SELECT user_id, item_id, tag FROM split WHERE NOT held_out;
	CREATE VIEW test AS SELECT user_id, item_id, tag FROM split WHERE held_out;
});
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (user_id, item_id)) FROM posts'), '162047|59849', 'the same in SQL');
is( $node->safe_psql('postgres', 'SELECT round(100.0 * count(*) / 59849, 1) FROM (SELECT FROM posts GROUP BY user_id, item_id HAVING count(*) = 1) x'),
	'41.5', 'posts with a single tag, in percent');

# ---------------------------------------------------------------- popular tags, against the other implementation

# metric and k of a figure => value
sub evaluate
{
	my ($model) = @_;
	my $text = $node->safe_psql('postgres',
		"SELECT metric || coalesce('\@' || k, ''), value FROM tagrec_evaluate('$model', 'test', '{1,3,5,10}')");
	return map { split /\|/ } split /\n/, $text;
}

my @figures = qw(hit@1 hit@3 hit@5 hit@10 ndcg@3 ndcg@5 ndcg@10 mrr);
my %expected = (
	all => [ .0541, .1099, .1674, .2465, .0850, .1087, .1344, .1154 ],
	user => [ .1422, .2894, .3845, .5274, .2264, .2654, .3115, .2624 ],
	item => [ .2218, .4211, .4948, .5429, .3375, .3680, .3839, .3374 ],
	mix => [ .2714, .4990, .6047, .7324, .4034, .4471, .4886, .4228 ]);

foreach my $by (sort keys %expected)
{
	$node->safe_psql('postgres', qq{SELECT tagrec_train('$by', 'train', 'tag_popular', '{"by": "$by", "fallback": false}')});
	my %got = evaluate($by);
	is($got{posts}, 59849, "$by: every post is measured");
	foreach my $i (0 .. $#figures)
	{
		my $figure = $figures[$i];
		# the other implementation ranks the few tags that are in no training post, too, behind all others
		cmp_ok(abs($got{$figure} - $expected{$by}[$i]), '<=', .00006, sprintf('%s: %s = %.4f', $by, $figure, $got{$figure}));
	}
	note(sprintf('%s: %s', $by, join(', ', map { "$_ $got{$_}" } qw(given_posts unknown_users unknown_items unknown_tags unknown_assignments))));
}

# tagrec_evaluate() measures what tagrec_recommend_tags() answers
$node->safe_psql('postgres', q{CREATE TABLE sample AS SELECT * FROM test ORDER BY md5(user_id || ':' || item_id) LIMIT 500});
is( $node->safe_psql(
		'postgres', q{
		SELECT abs(e.value - avg((r.tag IS NOT NULL)::int)) < 1e-9, count(*) FROM tagrec_evaluate('mix', 'sample', '{5}') e, sample s
			LEFT JOIN LATERAL tagrec_recommend_tags('mix', s.user_id, s.item_id, 5) r ON r.tag = s.tag
		WHERE e.metric = 'hit' GROUP BY e.value}),
	't|500', 'hits in lists of 5 are the hit@5 of the evaluation');

$node->stop;
done_testing();
