#!/bin/sh
# Entries of paper/refs.bib are complete, and each key is there once.
# bad: paper/refs.bib: @misc{a2000b,\n  title = {T},\n  year = 2000,\n}
# bad: paper/refs.bib: @misc{a,\n  author = {A},\n  title = {T},\n  year = 2000,\n}\n@misc{a,\n  author = {A},\n  title = {T},\n  year = 2000,\n}
# good: paper/refs.bib: @misc{a2000b,\n  author = {A},\n  title = {T},\n  year = 2000,\n}
. "$(dirname "$0")/lib.sh"
[ ! -e paper/refs.bib ] || awk '
    /^@/ { key = $0; sub(/^@[a-z]*\{/, "", key); sub(/,.*/, "", key); at = NR; have = ""
           if (seen[key]++) print "paper/refs.bib:" NR ":" key " is there twice" }
    /^ +[a-z]+ *=/ { have = have " " $1 }
    /^}/ { for (k = split("author title year", want, " "); k > 0; k--)
               if (!index(have " ", " " want[k] " ")) print "paper/refs.bib:" at ":" key " has no " want[k] }
    ' paper/refs.bib | offences "bibliography"
