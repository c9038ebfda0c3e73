#!/bin/sh
# Lines of C are at most 100 wide.
# bad: src/core/a.c: int x;\n/* 3456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 */
# good: src/core/a.c: /* 3456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 12345 */
. "$(dirname "$0")/lib.sh"
files '*.c' '*.h' | xargs -r awk 'length > 100 { print FILENAME ":" FNR ":" length " columns" }' |
    offences "wider than 100"
