#!/bin/sh
# No tabs, no trailing blanks, no carriage returns, a newline at the end.
# bad: src/core/a.c: int x;\n\tint y;
# bad: README.md: one \ntwo
# bad: tests/a.py: x = 1\r
# good: src/core/a.c: int x;
# good: tests/mutants/a.patch: -\tint x;
. "$(dirname "$0")/lib.sh"
text() {
    files '*.c' '*.h' '*.md' '*.txt' '*.cmake' '*.json' '*.sh' '*.py' '*.pl' '*.bib' '*.yaml' '*.yml' \
        '*.cff' '*.gp' '*.html' '*.js' dev run .clang-format .clang-tidy .editorconfig
}
tab=$(printf '\t') return=$(printf '\r')
{
    text | xargs -r grep -nE "$tab|$return| \$" /dev/null || true
    text | while IFS= read -r file; do
        [ -z "$(tail -c 1 "$file")" ] || echo "$file:$(wc -l <"$file"):no newline at the end"
    done
} | offences "tab, trailing blank or line end"
