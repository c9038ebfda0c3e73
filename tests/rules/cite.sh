#!/bin/sh
# A key that the code cites is in paper/refs.bib.
# bad: norms/a.c: .cite = "nobody1999nothing, eq. 4"
# bad: datasets/a.c: x,\n.cite = "nobody1999nothing",
# good: norms/a.c: .cite = "somebody2000thing, eq. 4"\n/* the cite field */
# with: paper/refs.bib: @misc{somebody2000thing,\n}
. "$(dirname "$0")/lib.sh"
keys=$(sed -n 's/^@[a-z]*{\([^,]*\),.*/\1/p' paper/refs.bib 2>/dev/null | tr '\n' ' ')
files '*.c' '*.h' | grep -E '^(src|norms|models|datasets|analysis)/' |
    xargs -r grep -nE '\bcite *= *"' /dev/null |
    awk -v keys=" $keys" '
        { rest = $0; sub(/.*cite *= *"/, "", rest); sub(/".*/, "", rest)
          while (match(rest, /[a-z]+[0-9][0-9][0-9][0-9][a-z]*/)) {
              if (!index(keys, " " substr(rest, RSTART, RLENGTH) " ")) { print; break }
              rest = substr(rest, RSTART + RLENGTH)
          } }' |
    offences "cited, but not in paper/refs.bib"
