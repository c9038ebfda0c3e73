#!/bin/sh
# Work left over is an issue; a mark in the text names it: TODO(#12).
# bad: src/core/a.c: /* TODO: later */
# bad: norms/a.c: int x;\n/* FIXME */
# bad: docs/a.md: XXX check this
# good: src/core/a.c: /* TODO(#12): later */
# good: src/core/a.c: /* mktemp("runXXXXXX") */
. "$(dirname "$0")/lib.sh"
files '*.c' '*.h' '*.md' '*.sh' '*.py' '*.cmake' '*.txt' |
    xargs -r grep -nwE 'TODO|FIXME|XXX|HACK' /dev/null | grep -vE 'TODO\(#[0-9]+\)' |
    offences "TODO without an issue"
