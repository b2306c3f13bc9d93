# ALTER EXTENSION tagrec UPDATE: an updated database has what a new one has, models made before it answer as they did, and what
# somebody built or granted on the old objects is still there. Before the update the library says that it is needed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_version = '0.1.0';
my ($new_version) = slurp_file('tagrec.control') =~ /^default_version = '([^']*)'/m;
my $fixture = 'test/fixture/hand_made.sql';

my $node = PostgreSQL::Test::Cluster->new('update');
$node->init;
$node->start;
$node->safe_psql('postgres', $_) foreach ('CREATE ROLE reader LOGIN', 'CREATE DATABASE old', 'CREATE DATABASE new');

sub refused
{
	my ($sql, $pattern, $what) = @_;
	my ($stdout, $stderr);
	$node->psql('old', $sql, stdout => \$stdout, stderr => \$stderr);
	like($stderr, $pattern, $what);
	return;
}

# Models made by hand, as in the SQL tests. The trigger, which looks at what a restore inserts, is a function of the library.
my $models = join "\n", 'CREATE SCHEMA fixture; SET search_path = fixture, public;', slurp_file($fixture),
	q{SELECT fixture_model('numbers', 'bigint'); SELECT fixture_model('mixed keys', 'uuid', 'text')},
	q{; SELECT fixture_network('deep', 'text'); };
sub triggers
{
	my ($state) = @_;
	return join '', map { "ALTER TABLE tagrec_$_ $state TRIGGER tagrec_guard;" } qw(model version job epoch trial);
}
$node->safe_psql('new', "CREATE EXTENSION tagrec; $models");
$node->safe_psql('old', join ' ', "CREATE EXTENSION tagrec VERSION '$old_version';", triggers('DISABLE'), $models,
	'RESET search_path;', triggers('ENABLE ALWAYS'));
$node->safe_psql('old', q{
	CREATE TABLE public.a (user_id int, item_id int, tag text);
	CREATE VIEW public.overview AS SELECT model, deployed_version FROM tagrec_models;
	CREATE VIEW public.running AS SELECT j.* FROM tagrec_jobs j;
	REVOKE ALL ON FUNCTION tagrec_drop(text) FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION tagrec_drop(text) TO reader});

refused($_, qr/extension "tagrec" has version 0\.1\.0 in this database, but the library is of version \Q$new_version\E/,
	"before the update: $_")
	foreach (q{SELECT tagrec_recommend('numbers', '5000000001')}, q{SELECT tagrec_similar_items('numbers', '6000000000')},
	q{SELECT tagrec_score('numbers', 5000000001, 6000000000)}, q{SELECT tagrec_recommend_all('numbers')},
	q{SELECT tagrec_recommend_for_tags('deep', '{synth}')}, q{SELECT tagrec_embed('deep', '{synth}')},
	q{SELECT tagrec_explain('deep', 'alice', 'i01')}, q{SELECT tagrec_rename('numbers', 'digits')}, q{SELECT tagrec_drop('numbers')},
	q{SELECT tagrec_train('numbers', 'a')}, q{SELECT tagrec_tune('numbers', 'a', space => '{"epochs": [1, 2]}')},
	q{SELECT tagrec_refresh('numbers')}, q{SELECT tagrec_evaluate('numbers', 'pg_class')},
	q{SELECT tagrec_compare('{numbers,deep}', 'pg_class')}, 'CALL tagrec_wait(1)', q{SELECT tagrec_recommend_tags('deep', 1, 2)});
refused("ALTER EXTENSION tagrec UPDATE TO '$old_version.1'", qr/has no update path/, 'there is no way to a version that is none');

$node->safe_psql('old', 'ALTER EXTENSION tagrec UPDATE');
is($node->safe_psql('old', q{SELECT extversion FROM pg_extension WHERE extname = 'tagrec'}), $new_version, 'updated');
refused("ALTER EXTENSION tagrec UPDATE TO '$old_version'", qr/no update path from version "\Q$new_version\E" to version "0\.1\.0"/,
	'there is no way back');

# Everything that belongs to the extension, as text
my $objects = q{
	WITH member AS (
		SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND e.extname = 'tagrec'
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'),
	relation AS (SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid)
	SELECT line FROM (
		SELECT pg_identify_object(classid, objid, 0)::text AS line FROM member
		UNION ALL
		SELECT pg_get_functiondef(p.oid) || ' ' || coalesce(p.proacl::text, '') || ' ' || coalesce(obj_description(p.oid, 'pg_proc'), '')
		FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid WHERE p.proname <> 'tagrec_drop'
		UNION ALL
		SELECT c.oid::regclass || ' ' || c.relkind::text || ' ' || coalesce(c.relacl::text, '') || ' ' || coalesce(c.reloptions::text, '')
			|| ' ' || coalesce(obj_description(c.oid, 'pg_class'), '')
			|| CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) ELSE '' END
		FROM relation c
		UNION ALL
		SELECT format('%s %s %s %s %s %s %s %s %s', c.oid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull, a.attidentity, a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
		FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d
			ON d.adrelid = c.oid AND d.adnum = a.attnum
		UNION ALL
		SELECT format('%s %s %s', c.oid::regclass, k.conname, pg_get_constraintdef(k.oid))
		FROM relation c JOIN pg_constraint k ON k.conrelid = c.oid
		UNION ALL
		SELECT format('%s %s', pg_get_triggerdef(t.oid), t.tgenabled)
		FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
		UNION ALL
		SELECT format('%s %s %s', pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary)
		FROM relation c JOIN pg_index i ON i.indrelid = c.oid
		UNION ALL
		SELECT format('dumped: %s %s', t.relation::regclass, t.condition)
		FROM pg_extension e, unnest(e.extconfig, e.extcondition) t (relation, condition) WHERE e.extname = 'tagrec'
	) AS everything ORDER BY line COLLATE "C"};
my @updated = split /\n/, $node->safe_psql('old', $objects);
my @fresh = split /\n/, $node->safe_psql('new', $objects);
cmp_ok(scalar @fresh, '>', 300, 'there is much to compare');
is_deeply(\@updated, \@fresh, 'an updated database has the objects of a new one');

my $answers = q{
	SELECT string_agg(r::text, ' ' ORDER BY r.user_id, r.rank)
	FROM unnest(ARRAY['numbers', 'mixed keys', 'deep']) m, tagrec_recommend_all(m, 12) r
	UNION ALL SELECT string_agg(r::text, ' ' ORDER BY r.rank) FROM tagrec_similar_items('numbers', 6000000010, 12) r
	UNION ALL SELECT tagrec_embed('deep', '{synth,bebop}')::text
	UNION ALL SELECT string_agg((m.model, m.owner, m.users, m.items)::text, ' ' ORDER BY m.model) FROM tagrec_models m};
is($node->safe_psql('old', $answers), $node->safe_psql('new', $answers), 'models made before the update answer as new ones');
is($node->safe_psql('old', 'SELECT count(*) FROM overview'), '3', 'a view on a view of the extension is still there');
is($node->safe_psql('old', 'SELECT count(*) FROM running'), '0', '... also one with all its columns');
is($node->safe_psql('old', q{SELECT has_function_privilege('reader', 'tagrec_drop(text)', 'EXECUTE')
		AND NOT has_function_privilege('public', 'tagrec_drop(text)', 'EXECUTE')}), 't', 'privileges are as they were');
$node->stop;

# A session that was open during the update has the earlier library, in which a function of the same name and other arguments
# must not be found: it would take one argument for another.
sub functions
{
	my %function;
	my ($script) = @_;
	while ($script =~ /CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) (\w+)\((.*?)\)\s*((?:RETURNS .*?)?)\s*AS 'MODULE_PATHNAME', '(\w+)'/gs)
	{
		my ($name, $arguments, $result, $symbol) = ($1, $2, $3, $4);
		push @{ $function{$symbol} }, join ' ', $name, map { s/--[^\n]*//gr =~ s/\s+/ /gr } $arguments, $result;
	}
	return %function;
}
my %old = functions(slurp_file("sql/tagrec--$old_version.sql"));
my $rules = slurp_file('sql/rules.sql');
my %new = functions(join '', map { slurp_file("sql/$_.sql") =~ s/\@rules\@/$rules/gr }
	qw(registry training queries newcomers evaluation information));
foreach my $symbol (sort keys %old)
{
	next unless $new{$symbol};
	is_deeply([ sort @{ $new{$symbol} } ], [ sort @{ $old{$symbol} } ], "$symbol has the arguments and results that it had");
}

done_testing();
