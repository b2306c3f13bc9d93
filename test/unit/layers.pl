#!/usr/bin/perl
# Who may include whom: the arrows of CONTRIBUTING.md and doc/architecture.md, read from the #include lines. Run from the
# repository's root. Prints TAP; with --svg, the picture of doc/architecture.md instead.
use strict;
use warnings;
use File::Find;

# A room and the rooms whose headers it may include. Every room may include itself.
my %may = (
	'core' => [],
	'models' => ['core'],
	'cpu' => ['core'],
	'gpu' => ['core'],
	'pg/base' => [ 'core', 'models' ],
	'pg/registry' => [ 'core', 'pg/base' ],
	'pg/source' => [ 'core', 'pg/base' ],
	'pg/store' => [ 'core', 'pg/base', 'pg/registry', 'pg/source' ],
	'pg/train' => [ 'core', 'pg/base', 'pg/registry', 'pg/source', 'pg/store', 'pg/serve', 'pg/evaluate' ],
	'pg/serve' => [ 'core', 'pg/base', 'pg/registry', 'pg/store' ],
	'pg/transfer' => [ 'core', 'pg/base', 'pg/registry', 'pg/source', 'pg/store', 'pg/train', 'pg/serve' ],
	'pg/evaluate' => [ 'core', 'pg/base', 'pg/registry', 'pg/source', 'pg/serve' ],
);

# "src/pg/serve/call.c" is in room pg/serve, "src/models/tower/tower.c" in models
sub room_of
{
	my ($path) = @_;
	return $1 if $path =~ m{^src/(pg/[^/]+)/};
	return $1 if $path =~ m{^(?:src/)?([^/]+)/};
	return '';
}

# An included name as a path from the root; undef for what is not ours.
sub resolve
{
	my ($from, $name) = @_;
	my ($folder) = $from =~ m{^(.*)/};
	foreach my $path ("src/$name", "$folder/$name", $name)
	{
		return $path if -f $path;
	}
	return undef;
}

my (@files, %arrows, @wrong, %includes, @postgres);
find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.(c|h|cu|cuh)$/ } }, 'src', 'gpu');
foreach my $file (sort @files)
{
	open my $in, '<', $file or die "$file: $!";
	while (<$in>)
	{
		next unless /^\s*#\s*include\s+["<]([^">]+)[">]/;
		my $path = resolve($file, $1);
		push @postgres, $file if $1 eq 'postgres.h' && $file !~ m{^src/pg/};
		next unless defined $path;
		push @{ $includes{$file} }, $path;
		my ($from, $to) = (room_of($file), room_of($path));
		next if $from eq $to;
		$arrows{$from}{$to}++;
		push @wrong, "$file includes $path" unless grep { $_ eq $to } @{ $may{$from} || [] };
	}
	close $in;
}

# Files that reach themselves by headers.
my (%state, @cycles);
sub walk
{
	my ($file, @path) = @_;
	return if ($state{$file} || '') eq 'done';
	if (grep { $_ eq $file } @path)
	{
		push @cycles, join(' -> ', @path, $file);
		return;
	}
	walk($_, @path, $file) foreach @{ $includes{$file} || [] };
	$state{$file} = 'done';
}
walk($_) foreach sort keys %includes;

if (@ARGV && $ARGV[0] eq '--svg')
{
	draw();
	exit;
}

my $test = 0;
sub check
{
	my ($name, @found) = @_;
	$test++;
	print @found ? "not ok $test - $name\n" : "ok $test - $name\n";
	print "#   $_\n" foreach @found;
}
my @unknown = grep { !$may{ room_of($_) } } @files;
check('every file is in a room that has rules', @unknown);
check('no room includes what it may not', @wrong);
check('no header reaches itself', @cycles);
check('PostgreSQL is known in src/pg alone', @postgres);
my @lonely = grep { !$arrows{$_} && $_ ne 'core' } sort keys %may;
check('every room is there', @lonely);
print "1..$test\n";
exit((@unknown || @wrong || @cycles || @postgres || @lonely) ? 1 : 0);

# ---------------------------------------------------------------------------------------------------------------------------

# Rooms in rows, each above those it includes; an arrow's width says how many includes there are.
sub draw
{
	my @rows = (['pg/transfer'], ['pg/train'], ['pg/evaluate'], ['pg/serve'], ['pg/store'], [ 'pg/registry', 'pg/source' ],
		['pg/base'], [ 'models', 'cpu', 'gpu' ], ['core']);
	my ($width, $height, $box_w, $box_h) = (760, 820, 130, 40);
	my (%x, %y, $lines);
	foreach my $r (0 .. $#rows)
	{
		my $n = @{ $rows[$r] };
		foreach my $c (0 .. $n - 1)
		{
			$x{ $rows[$r][$c] } = $width * ($c + 1) / ($n + 1);
			$y{ $rows[$r][$c] } = 40 + $r * 90;
		}
	}
	# beside the column that most arrows go down
	@x{ 'pg/transfer', 'pg/train', 'pg/evaluate', 'pg/serve', 'models', 'cpu', 'gpu' } =
	  map { $width * $_ } (0.8, 0.62, 0.24, 0.38, 0.13, 0.32, 0.87);
	$lines = '';
	foreach my $from (sort keys %arrows)
	{
		foreach my $to (sort keys %{ $arrows{$from} })
		{
			my ($x1, $y1, $x2, $y2) = ($x{$from}, $y{$from} + $box_h / 2, $x{$to}, $y{$to} - $box_h / 2);
			my $bend = $x1 == $x2 && $y2 - $y1 > 90 ? 90 : 0;
			my $stroke = 0.6 + log(1 + $arrows{$from}{$to}) / 2;
			$lines .= sprintf
			  qq{<path d="M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f" stroke-width="%.1f"%s><title>%s includes %s %d times</title></path>\n},
			  $x1, $y1, $x1 + $bend, ($y1 + $y2) / 2, $x2 + $bend, ($y1 + $y2) / 2, $x2, $y2 - 4, $stroke,
			  $to =~ /core|base/ ? ' opacity=".35"' : '', $from, $to,
			  $arrows{$from}{$to};
		}
	}
	print qq{<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" font-family="sans-serif" font-size="15">\n},
	  qq{<title>Who includes whom, drawn from the include lines by test/unit/layers.pl --svg</title>\n},
	  qq{<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse"},
	  qq{ orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7f99"/></marker></defs>\n},
	  qq{<g fill="none" stroke="#6b7f99" marker-end="url(#tip)">\n$lines</g>\n};
	foreach my $room (sort keys %x)
	{
		my $files = grep { room_of($_) eq $room } @files;
		printf qq{<rect x="%.0f" y="%.0f" width="%d" height="%d" rx="6" fill="#dfe8f3" stroke="#6b7f99"/>\n},
		  $x{$room} - $box_w / 2, $y{$room} - $box_h / 2, $box_w, $box_h;
		printf qq{<text x="%.0f" y="%.0f" text-anchor="middle" fill="#1d2733">%s</text>\n}, $x{$room}, $y{$room} - 1, $room;
		printf qq{<text x="%.0f" y="%.0f" text-anchor="middle" fill="#52627a" font-size="11">%d files</text>\n}, $x{$room},
		  $y{$room} + 14, $files;
	}
	print "</svg>\n";
}
