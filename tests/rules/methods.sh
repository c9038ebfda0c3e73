#!/bin/sh
# A method's file opens with a comment that names its source, and docs or tests name the method.
# bad: norms/nameless.c: int x;
# bad: norms/sourceless.c: /* A method. */\nint x;
# bad: norms/untested.c: /* A method (Somebody 2000, eq. 1). */
# good: norms/fine.c: /* A method (Somebody 2000, eq. 1). */
# good: norms/identity.c: /* The template. */
# with: tests/unit/a.c: /* fine */
. "$(dirname "$0")/lib.sh"
files '*.c' | grep '^norms/' | grep -v '^norms/identity\.c$' | while IFS= read -r file; do
    name=$(basename "$file" .c)
    case $(head -c 2 "$file") in
    '/*') awk '{ print } /\*\// { exit }' "$file" | grep -qE '(19|20)[0-9][0-9]|arXiv:[0-9]' ||
        echo "$file:1:the comment names no source with its year" ;;
    *) echo "$file:1:no header comment" ;;
    esac
    grep -rqsw -- "$name" docs tests || echo "$file:1:named neither in docs nor in tests"
done | offences "method without description, source or test"
