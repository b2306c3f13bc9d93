#!/usr/bin/perl
# Makes test/data/debtags.tsv.gz's content from a Debian archive's own package index: maintainer, package, tag.
#
#   scripts/make_debtags.pl Packages > debtags.tsv        (Packages, Packages.gz or Packages.xz of a suite's main component)
#
# One row per package and debtag. A maintainer is named without the address. Teams keep their names; people are numbered in
# the order of theirs: maintainer-0001, maintainer-0002, …. Rows are sorted by byte value and distinct.
use strict;
use warnings;

# a maintainer whose name has one of these is a team
my $team = qr/(?i:team|maintainer|packag|developer|group|project|force|extras)|Debian/;

die "usage: $0 Packages > debtags.tsv\n" if @ARGV != 1 || !-r $ARGV[0];
my $index = $ARGV[0];
my @command = $index =~ /\.gz$/ ? ('gzip', '-dc') : $index =~ /\.xz$/ ? ('xz', '-dc') : ('cat');
open(my $in, '-|', @command, $index) or die "cannot read $index: $!\n";

my (%people, @rows);
$/ = '';    # paragraphs
while (my $paragraph = <$in>)
{
	$paragraph =~ s/\n[ \t]+/ /g;    # continuation lines
	my %field = $paragraph =~ /^(Package|Maintainer|Tag):[ \t]*(.*?)[ \t]*$/mg;
	next unless defined $field{Tag} && defined $field{Maintainer};
	(my $name = $field{Maintainer}) =~ s/\s*<.*//;
	$name =~ s/^"|"$//g;
	$people{$name} = 1 unless $name =~ $team;
	push @rows, [ $name, $field{Package}, $_ ] for grep { length } split /,\s*/, $field{Tag};
}
close($in) or die "cannot read $index\n";
die "no package with a Tag and a Maintainer field in $index\n" unless @rows;

my $number = 0;
$people{$_} = sprintf('maintainer-%04d', ++$number) for sort keys %people;

my %seen;
print "maintainer\tpackage\ttag\n";
print for sort grep { !$seen{$_}++ } map { join("\t", $people{ $_->[0] } // $_->[0], $_->[1], $_->[2]) . "\n" } @rows;
