#!/usr/bin/perl
# Prints the code of C files as "FILE:LINE:CODE", comments and the inside of strings left out.
use strict;
use warnings;
local $/;
for my $file (@ARGV) {
    open my $in, '<', $file or die "$file: $!\n";
    my $text = <$in> // '';
    $text =~ s{(/\*.*?\*/|//[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'}{
        defined $1 ? $1 =~ tr/\n//cdr : '""' }gsex;
    my $line = 0;
    print "$file:", ++$line, ":$_\n" for split /\n/, $text;
}
