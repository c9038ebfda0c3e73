#!/bin/sh
# Follows docs/adding-a-method.md: its file is the one of the tests, its commands work.
# usage: run.sh SOURCE_FOLDER PROGRAMS_FOLDER
set -eu
source=$1 programs=$2
page=$source/docs/adding-a-method.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

block() { # LANGUAGE: the lines between ```LANGUAGE and ```
    awk -v open="\`\`\`$1" '$0 == "```" { on = 0 } on { print } $0 == open { on = 1 }' "$page"
}

block c >scale_norm.c
diff "$source/tests/plugins/scale_norm.c" scale_norm.c
block sh >commands
[ "$(wc -l <commands)" -ge 5 ]
NORMLAB_INCLUDE=$source/src PATH=$programs:$PATH sh -eux commands >log 2>&1 || {
    cat log
    exit 1
}
