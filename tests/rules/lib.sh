# shellcheck shell=sh
# Shared by the rules. A rule is a script RULE.sh [ROOT] that prints "FILE:LINE: TITLE: TEXT" for each
# offence and then fails. Its comments carry samples that tests/rules/selftest.sh feeds to it:
#     # bad: PATH: CONTENT       must be found in PATH
#     # good: PATH: CONTENT      must be let through
# where \n and \t in CONTENT are a new line and a tab.
set -eu
rules=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$rules/../..}"
export LC_ALL=C

# Files of the tree by name pattern. The samples below tests/rules are not part of it.
files() { # FIND_NAME_PATTERN...
    set -f
    names=
    for pattern; do names="$names -o -name $pattern"; done
    # shellcheck disable=SC2086 # split on purpose
    find . \( -name .git -o -name build -o -path ./runs -o -path ./data -o -path ./tests/rules \) \
        -prune -o -type f \( -false $names \) -print | sed 's,^\./,,' | sort
    set +f
}

# The C code of the product (or of the folders named), without comments and strings.
code() { # [FOLDER...]
    [ $# -gt 0 ] || set -- src norms models datasets analysis
    for folder; do files '*.c' '*.h' | grep "^$folder/" || true; done |
        xargs -r perl "$rules/strip.pl"
}

# Reads "FILE:LINE:TEXT", prints the offences, fails if there is one.
offences() { # TITLE
    awk -v title="$1" '
        { place = $0; sub(/^[^:]*:[0-9]+:/, ""); text = $0
          print substr(place, 1, length(place) - length(text)) " " title ": " text; found = 1 }
        END { exit found }'
}
