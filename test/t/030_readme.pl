# What README.md says: its SQL runs as it is printed, and its tables name what there is, with the right arguments and defaults.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::Bin/../..";
my $readme = slurp_file("$root/README.md");

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\n");
$node->start;

sub query
{
	return $node->safe_psql('postgres', shift);
}

# ---------------------------------------------------------------- the SQL, top to bottom, in one database

# The two things that stand for the reader's own data: a file and a table.
my $directory = PostgreSQL::Test::Utils::tempdir();
my @tags = qw(databases visualisation sql maps music linux perl go web art);
my %rows;
foreach my $user (1 .. 60)
{
	foreach my $k (1 .. 12)
	{
		my $item = 1 + ($user * 7 + $k * $k * 3) % 40;
		$rows{"$user,$item," . $tags[ ($item + $k % 3) % @tags ]} = 1;
	}
}
append_to_file("$directory/bookmarks.csv", join("\n", 'user_id,item_id,tag', sort keys %rows) . "\n");
query(q{CREATE TABLE items AS SELECT i::bigint AS id, 'title ' || i AS title FROM generate_series(1, 40) i});
chdir $directory or die "chdir $directory: $!";

my @blocks = $readme =~ /^```sql\n(.*?)^```$/gms;
cmp_ok(scalar(@blocks), '>', 4, 'README.md has SQL');
my $output = '';
foreach my $block (@blocks)
{
	my ($title) = split /\n/, $block;
	my ($out, $err);
	my $ret = $node->psql('postgres', $block, stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($ret, 0, "the block that begins with $title");
	unlike($err, qr/ERROR|WARNING/, '... runs without complaint');
	$output .= $out;
}
is(query('SELECT count(*) FROM bookmarks'), scalar(keys %rows), 'it has loaded the rows');
is(query(q{SELECT string_agg(model, ' ' ORDER BY model) FROM tagrec_models}),
	'baseline labels links trial trial_labels usual_labels', '... and trained the models');
like($output, qr/^1\|\d+\|title \d+\n2\|\d+\|title \d+$/m, '... joined recommendations to a table, best first');
like($output, qr/^ndcg\|20\|[\d.]+\|[\d.]+$/m, '... evaluated a model');
like($output, qr/^trial\|baseline\|ndcg\|20\|/m, '... compared two');

# ---------------------------------------------------------------- the reference of functions

# "a, b int = 10, c int[] = '{1,2}'", split at commas that are not inside of something
sub split_arguments
{
	my $text = shift;
	my @parts = $text =~ /\G\s*((?:'[^']*'|\([^)]*\)|[^,'(])+),?/g;
	return map { s/\s+$//r } @parts;
}

# PostgreSQL's spelling of a type or a default becomes the README's.
sub usual_spelling
{
	my $text = shift;
	$text =~ s/::[a-z_ ]+(\[\])?//g;
	$text =~ s/\binteger\b/int/g;
	$text =~ s/\bdouble precision\b/float8/g;
	return $text;
}

# { name, type, default } of each argument; what is not said is undefined
sub arguments_of
{
	my $text = shift;
	my @arguments;
	foreach my $part (split_arguments($text))
	{
		my ($name, $type, $default) = $part =~ /^(?:IN )?(\w+)(?:\s+(.*?))?(?:\s+(?:=|DEFAULT)\s+(.*))?$/ or die "argument: $part";
		undef $type if defined $type && $type eq 'as above';
		push @arguments, { name => $name, type => $type, default => $default };
	}
	return @arguments;
}

# Does what README says, which may leave out types and defaults, fit what the function is?
sub mismatch
{
	my ($said, $is) = @_;
	my @said = arguments_of($said);
	my @is = arguments_of($is);
	return "said ($said), is ($is)" if "@{[map { $_->{name} } @said]}" ne "@{[map { $_->{name} } @is]}";
	foreach my $i (0 .. $#said)
	{
		foreach my $what ('type', 'default')
		{
			my ($a, $b) = ($said[$i]{$what}, $is[$i]{$what});
			return "$what of $said[$i]{name}: said $a, is " . ($b // 'none') if defined $a && $a ne ($b // '');
		}
	}
	return '';
}

my %functions;
foreach my $line (split /\n/, query(q{
	SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
	FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'tagrec'
	WHERE obj_description(p.oid, 'pg_proc') !~ '^behind ' AND p.prorettype <> 'trigger'::regtype
	ORDER BY p.proname, p.oid}))
{
	my ($name, $arguments, $result) = map { usual_spelling($_) } split /\|/, $line;
	push @{ $functions{$name} }, { arguments => $arguments, result => $result };
}

my %described;
while ($readme =~ /^\| `(?:CALL )?(tagrec_\w+)\((.*?)\)(?: → (.*?))?` \|/gm)
{
	my ($name, $arguments, $result) = ($1, $2, $3);
	$described{$name} = 1;
	ok($functions{$name}, "$name(), which README.md describes, is there") or next;
	foreach my $function (@{ $functions{$name} })
	{
		is(mismatch($arguments, $function->{arguments}), '', "... takes ($function->{arguments})");
		next unless defined $result;
		if (my ($columns) = $result =~ /^\((.*)\)$/)
		{
			my ($is) = $function->{result} =~ /^TABLE\((.*)\)$/;
			is(mismatch($columns, $is // ''), '', '... and returns these columns');
		}
		else
		{
			is($function->{result}, $result, "... and returns $result");
		}
	}
}
is(join(' ', grep { !$described{$_} } sort keys %functions), '', 'no function is missing from README.md');

# ---------------------------------------------------------------- views, settings, options

my @views = split /\n/, query(q{
	SELECT relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'tagrec'
	WHERE relkind = 'v' ORDER BY relname});
my ($monitoring) = $readme =~ /^## Monitoring\n(.*?)^## /ms;
is(join(' ', grep { $monitoring !~ /^\|[^|]*`$_`/m } @views), '', 'every view is in the table of views');

my %context = (superuser => 'superuser', anyone => 'user');
my %settings;
$settings{$1} = $2 while $readme =~ /^\| `(tagrec\.\w+)` \| (\w+) \|/gm;
is(query(q{LOAD 'tagrec'; SELECT string_agg(name || ' ' || context, ', ' ORDER BY name) FROM pg_settings WHERE name LIKE 'tagrec.%'}),
	join(', ', map { "$_ $context{$settings{$_}}" } sort keys %settings), 'every setting is there, and who may change it');

my ($options) = $readme =~ /^<!-- options -->\n[^\n]*\n[^\n]*\n(.*?)\n<!-- end of options -->$/ms;
is($options, query(slurp_file("$root/scripts/options_table.sql")), 'the table of options is that of scripts/options_table.sh');

$node->stop;
chdir $root;
done_testing();
