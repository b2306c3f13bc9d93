# Last.fm (HetRec 2011), for tests on real data: its licence keeps it out of this repository. TAGREC_DATA names the directory
# that holds user_taggedartists.dat.gz.
package Lastfm;

use strict;
use warnings;

use FindBin;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = $ENV{TAGREC_DATA} || "$FindBin::Bin/../../../shared/data/lastfm";
my $archive = "$directory/user_taggedartists.dat.gz";

# Skips the whole file when the data are not there.
sub need_data
{
	plan skip_all => "cannot read $archive; TAGREC_DATA names the directory that holds it" unless -r $archive;
	return;
}

# A file of (user, item, tag), separated by tabs.
sub rows
{
	my $to = PostgreSQL::Test::Utils::tempdir() . '/rows.tsv';
	gunzip($archive => \my $text) or die "cannot read $archive: $GunzipError";
	my @lines = split /\r?\n/, $text;
	my $i = 0;
	my %column = map { $_ => $i++ } split /\t/, shift @lines;
	open my $out, '>', $to or die "cannot write $to: $!";
	foreach my $line (@lines)
	{
		my @field = split /\t/, $line;
		print $out join("\t", @field[ @column{qw(userID artistID tagID)} ]), "\n";
	}
	close $out or die "cannot write $to: $!";
	return $to;
}

1;
