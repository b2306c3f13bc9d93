# pg_upgrade: a cluster with the library preloaded and models in it arrives in a new one of the same major version, the only
# one that is always there.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $settings = "tagrec.threads = 1\nshared_preload_libraries = 'tagrec'\n";
my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->append_conf('postgresql.conf', $settings);
$old->start;
$old->safe_psql(
	'postgres', q{
	CREATE EXTENSION tagrec;
	CREATE TABLE a AS SELECT u AS user_id, 'i' || (u * 7 + k * k) % 50 AS item_id, 't' || (u + k) % 20 AS tag
		FROM generate_series(1, 100) u, generate_series(1, 10) k;
	CREATE VIEW v AS SELECT * FROM a WHERE tagrec_fold(user_id, item_id) < 90});
$old->safe_psql('postgres', $_) foreach (
	q{SELECT tagrec_train('deep', 'v', 'hdlpr_ns', '{"layers": [4], "epochs": 2}') FROM generate_series(1, 2)},
	q{SELECT tagrec_train('near', 'v', 'item_knn'), tagrec_train('labels', 'v', 'tag_product')},
	q{CREATE VIEW top AS SELECT * FROM tagrec_recommend_all('deep', 3)},
	q{CREATE INDEX ON deep_item_versions (posts)});
my $answers = q{
	SELECT string_agg(t::text, ' ' ORDER BY t.user_id, t.rank) FROM top t
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank) FROM tagrec_recommend_all('near', 3) r
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.rank) FROM tagrec_recommend_tags('labels', 1, 'i8', 5) r
	UNION ALL SELECT tagrec_embed('deep', '{t1,t2}')::text
	UNION ALL SELECT string_agg(v::text, ' ' ORDER BY v.model, v.version) FROM tagrec_versions v
	UNION ALL SELECT string_agg((j.job, j.model, j.state, j.version)::text, ' ' ORDER BY j.job) FROM tagrec_jobs j};
my $before = $old->safe_psql('postgres', $answers);
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', $settings);
chdir $PostgreSQL::Test::Utils::tmp_check or die "chdir: $!";
my $bin = $old->config_data('--bindir');
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin,
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade takes a cluster with tagrec preloaded');
$new->start;
is($new->safe_psql('postgres', $answers), $before, 'the models answer as before');
$new->safe_psql('postgres', q{SELECT tagrec_train('deep', 'v', 'popularity'), tagrec_train('more', 'v', 'popularity')});
is($new->safe_psql('postgres', q{SELECT string_agg(model || ' ' || deployed_version, ', ' ORDER BY model) FROM tagrec_models}),
	'deep 3, labels 1, more 1, near 1', '... and are trained again');
$new->safe_psql('postgres', q{DROP VIEW top; SELECT tagrec_drop(model) FROM tagrec_models; DROP VIEW v; DROP EXTENSION tagrec});
is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname ~ '^(tagrec|deep|labels|more|near)_'}), '0',
	'... and go without a trace');

$new->stop;
done_testing();
