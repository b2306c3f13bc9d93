# What README.md and doc/ say: their SQL runs as it is printed, page by page; the reference names what there is, with the
# right arguments and defaults; options are those of the view; links lead somewhere.
use strict;
use warnings;

use Encode;
use File::Basename;
use File::Spec;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = File::Spec->rel2abs("$FindBin::Bin/../..");
my @pages =
  map { substr($_, length($root) + 1) } sort(glob("$root/*.md"), glob("$root/doc/*.md"), glob("$root/doc/how-to/*.md"));
push @pages, grep { -e "$root/$_" } 'gpu/README.md', 'test/bench/README.md';
my %text = map { $_ => slurp_file("$root/$_") } @pages;

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->append_conf('postgresql.conf', "tagrec.threads = 1\nwal_level = logical\n");
$node->start;

sub query
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# ---------------------------------------------------------------- the SQL, each page in a database of its own

# Things that stand for the reader's own: a file, two tables and a model.
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
append_to_file("$directory/bookmarks.csv", join("\n", 'who,what,label', sort keys %rows) . "\n");
chdir $directory or die "chdir $directory: $!";

query('CREATE DATABASE fixture');
query(q{
	CREATE EXTENSION tagrec;
	CREATE TABLE bookmarks (user_id bigint, item_id bigint, tag text);
	COPY bookmarks FROM '} . "$directory/bookmarks.csv" . q{' WITH (FORMAT csv, HEADER);
	CREATE TABLE items AS SELECT i::bigint AS id, 'title ' || i AS title FROM generate_series(1, 40) i;
	SELECT tagrec_train('links', 'bookmarks', 'hdlpr_ns')}, 'fixture');

# The columns and the number of rows of the last result in what psql prints.
sub shape
{
	my @lines = split /\n/, (split /\n\n+/, shift)[-1] // '';
	my $columns = join ' ', map { s/^\s+|\s+$//gr } split /\|/, $lines[0] // '';
	return "$columns: " . (@lines - 2) . ' rows';
}

# Runs the SQL of a page, and compares the shape of what follows some of it with what comes out.
sub run_page
{
	my ($page, $database) = @_;
	my $output = '';
	while ($text{$page} =~ /^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms)
	{
		my ($block, $printed) = ($1, $2);
		my ($title) = split /\n/, $block;
		my ($out, $err);
		my $ret = $node->psql($database, $block, stdout => \$out, stderr => \$err, on_error_stop => 1,
			extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off', '-P', 'footer=off' ]);
		is($ret, 0, "$page: the block that begins with $title");
		unlike($err, qr/ERROR|WARNING/, '... runs without complaint');
		is(shape($out), shape($printed), '... and gives what the page shows') if defined $printed;
		$output .= "$out\n";
	}
	return $output;
}

query('CREATE DATABASE readme');
like(run_page('README.md', 'readme'), qr/^ +1 \| mariadb +\| +[\d.]+$/m, 'the quick start recommends the other database');
is(query('SELECT count(*) FROM bookmarks', 'readme'), scalar(keys %rows), '... the file is loaded');
is(query(q{SELECT string_agg(model, ' ' ORDER BY model) FROM tagrec_models}, 'readme'), 'links programs',
	'... and both models are trained');
cmp_ok(($text{'README.md'} =~ tr/\n//), '<=', 250, 'README.md can be read in one sitting');

query('CREATE DATABASE tutorial');
my $shop = run_page('doc/tutorial.md', 'tutorial');
my ($has) = $text{'doc/tutorial.md'} =~ /^ (cycling map, .*)$/m;
like($shop, qr/^ \Q$has\E *$/m, 'the shop of the tutorial is the one that it shows');
is(query('SELECT count(*) FROM customer_page(15)', 'tutorial'), '6', 'the page of recommendations is there');
is(query('SELECT count(*) FROM customer_page(15) JOIN product USING (title) WHERE stock = 0', 'tutorial'), '0',
	'... without what is sold out');

my $ran = 0;
foreach my $page (grep { m,^doc/, && $_ ne 'doc/tutorial.md' && $text{$_} =~ /^```sql$/m } @pages)
{
  SKIP:
	{
		my ($extension) = $text{$page} =~ /^CREATE EXTENSION (\w+);$/m;
		skip "$page needs the extension $extension", 1
		  if $extension && query("SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'") eq '0';
		my $database = 'page_' . ++$ran;
		query("CREATE DATABASE $database TEMPLATE fixture");
		run_page($page, $database);
	}
}
cmp_ok($ran, '>=', 10, 'other pages have SQL, too');

# ---------------------------------------------------------------- the reference of functions

# "a, b int = 10, c int[] = '{1,2}'", split at commas that are not inside of something
sub split_arguments
{
	my $text = shift;
	my @parts = $text =~ /\G\s*((?:'[^']*'|\([^)]*\)|[^,'(])+),?/g;
	return map { s/\s+$//r } @parts;
}

# PostgreSQL's spelling of a type or a default becomes that of the page.
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
		my ($name, $type, $default) = $part =~ /^(?:IN )?(\w+)(?:\s+(.*?))?(?:\s+(?:=|DEFAULT)\s+(.*))?$/
		  or die "argument: $part";
		push @arguments, { name => $name, type => $type, default => $default };
	}
	return @arguments;
}

# Does what the page says, which leaves out the type of keys, fit what the function is?
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
			next if $what eq 'type' && !defined $a && $b =~ /^(text|"any"|anycompatible)$/ && $is[$i]{name} =~ /^(user_id|item_id|tag)$/;
			return "$what of $said[$i]{name}: said " . ($a // 'none') . ', is ' . ($b // 'none') if ($a // '') ne ($b // '');
		}
	}
	return '';
}

my %functions;
foreach my $line (split /\n/, query(q{
	SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)
	FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'tagrec'
	WHERE obj_description(p.oid, 'pg_proc') !~ '^(implements|used by) the (views? |type |planner:)' AND p.prorettype <> 'trigger'::regtype
	ORDER BY p.proname, p.oid}, 'fixture'))
{
	my ($name, $arguments, $result) = map { usual_spelling($_) } split /\|/, $line;
	push @{ $functions{$name} }, { arguments => $arguments, result => $result };
}

my %described;
my $reference = $text{'doc/reference.md'};
while ($reference =~ /^### (\w+)\n\n```\n(.*?)```$/gms)
{
	my ($title, $signature) = ($1, $2);
	$signature =~ s/\s+/ /g;
	$signature =~ s/ $//;
	my ($name, $arguments, $result) = $signature =~ /^(?:CALL )?(tagrec_\w+)\((.*?)\)(?: → (.*))?$/
	  or die "signature: $signature";
	is($name, $title, "the section $title is about $name()");
	$described{$name} = 1;
	ok($functions{$name}, "... which is there") or next;
	foreach my $function (@{ $functions{$name} })
	{
		is(mismatch($arguments, $function->{arguments}), '', "... takes ($function->{arguments})");
		if (my ($columns) = ($result // '') =~ /^\((.*)\)$/)
		{
			my ($is) = $function->{result} =~ /^TABLE\((.*)\)$/;
			is(mismatch($columns, $is // ''), '', '... and returns these columns');
		}
		else
		{
			is($result // '', $function->{result} // '', '... and returns what it says');
		}
	}
}
is(join(' ', grep { !$described{$_} } sort keys %functions), '', 'no function is missing from the reference');

# ---------------------------------------------------------------- views, settings, options

my @views = split /\n/, query(q{
	SELECT relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'tagrec'
	WHERE relkind = 'v' ORDER BY relname}, 'fixture');
my ($described_views) = $reference =~ /^## Views\n(.*?)^## /ms;
is(join(' ', sort $described_views =~ /^\| `(\w+)` \|/gm), join(' ', @views),
	'the table of views names those that are there');

my %context = (superuser => 'superuser', anyone => 'user');
my %settings;
$settings{$1} = $2 while $reference =~ /^\| `(tagrec\.\w+)` \| (\w+) \|/gm;
is( query(q{
		LOAD 'tagrec';
		SELECT string_agg(name || ' ' || context, ', ' ORDER BY name) FROM pg_settings WHERE name LIKE 'tagrec.%'}),
	join(', ', map { "$_ $context{$settings{$_}}" } sort keys %settings), 'every setting is there, and who may change it');

my ($options) = $text{'doc/options.md'} =~ /^<!-- options -->\n\n(.*?)\n\n<!-- end of options -->$/ms;
is($options, query(slurp_file("$root/scripts/options_table.sql"), 'fixture') =~ s/\s+\z//r,
	'the options are those of scripts/options_table.sh');

foreach my $task ('item', 'tag', 'rating')
{
	my ($section) = $text{'doc/algorithms.md'} =~ /^## For ${task}s\n(.*?)^## /ms;
	my %named = map { $_ => 1 } $section =~ /^\| `(\w+)` \|/gm;
	is(join(' ', sort keys %named),
		query(
			"SELECT string_agg(algorithm, ' ' ORDER BY algorithm COLLATE \"C\") FROM tagrec_algorithms WHERE task = '$task'",
			'fixture'),
		"every algorithm for ${task}s is described");
}

# What each algorithm can answer, by asking it.
my %asked = (
	'users known by tags alone' => q{tagrec_recommend_for_tags('m', '{maps}')},
	'users known by items alone' => q{tagrec_recommend_for_items('m', '{7}')},
	'explanations' => q{tagrec_explain('m', 42, 7)},
	'similar items' => q{tagrec_similar_items('m', 7)},
	'similar users' => q{tagrec_similar_users('m', 42)},
	'embeddings of tags' => q{tagrec_embed('m', '{maps}')},
	'refresh' => q{tagrec_refresh('m')});
while ($text{'doc/algorithms.md'} =~ /^\| algorithm (\|.*similar items.*)\n.*\n((?:\|.*\n)+)/gm)
{
	my ($head, $body) = ($1, $2);
	my @columns = $head =~ /\| ([^|]+?) (?=\|)/g;
	foreach my $line (split /\n/, $body)
	{
		my ($algorithm, @said) = map { s/^ +| +$//gr } (split /\|/, $line, -1)[ 1 .. @columns + 1 ];
		$algorithm =~ tr/`//d;
		query(qq{SELECT tagrec_train('m', 'bookmarks', '$algorithm')}, 'fixture');
		my @answers = map { $node->psql('fixture', "SELECT $asked{$_}") == 0 ? 'yes' : '' } @columns;
		is("@said", "@answers", "what $algorithm answers: " . join(', ', @columns));
		query(q{SELECT tagrec_drop('m')}, 'fixture');
	}
}

$node->stop;
chdir $root;

# ---------------------------------------------------------------- links, and lines

# What a link may name in a page: its headings, spelled as GitHub does.
sub anchors
{
	my $page = shift;
	my %anchors;
	foreach my $heading ($page =~ /^#+ +(.*)$/gm)
	{
		my $anchor = lc decode('UTF-8', $heading);
		$anchor =~ s/[^\w\- ]//g;
		$anchors{ $anchor =~ tr/ /-/r } = 1;
	}
	return \%anchors;
}

foreach my $page (@pages)
{
	my @broken;
	my $prose = $text{$page} =~ s/^```.*?^```$//gmsr =~ s/<!--.*?-->//gsr;
	while ($prose =~ /\]\(([^)\s]+)\)/g)
	{
		my $link = $1;
		my ($file, $anchor) = split /#/, $link, 2;
		next if $file =~ /^https?:/;
		my $target = $file eq '' ? $page : File::Spec->abs2rel(File::Spec->catfile(dirname("$root/$page"), $file), $root);
		# a path up and down again
		1 while $target =~ s,[^/.][^/]*/\.\./,,;
		my $there = -e "$root/$target";
		push @broken, $link unless $there && (!defined $anchor || anchors($text{$target} // '')->{$anchor});
	}
	is("@broken", '', "$page: its links lead somewhere");
	next unless $page eq 'README.md' || $page =~ m,^doc/,;
	my @long = grep { length(decode('UTF-8', $_)) > 124 && !/^\|/ } split /\n/, $text{$page};
	is(join("\n", @long), '', '... and its lines can be seen whole');
}

done_testing();
