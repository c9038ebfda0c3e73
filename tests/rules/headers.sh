#!/bin/sh
# A header opens with what it is for, and is guarded.
# bad: src/core/a.h: #ifndef NL_A_H\n#define NL_A_H\n#endif
# bad: src/core/a.h: /* a.h: things */\nint x;
# good: src/core/a.h: /* a.h: things */\n#ifndef NL_A_H\n#define NL_A_H\n#endif
. "$(dirname "$0")/lib.sh"
files '*.h' | grep -E '^(src|norms|models|datasets|analysis)/' | while IFS= read -r file; do
    [ "$(head -c 2 "$file")" = '/*' ] || echo "$file:1:no word about its purpose"
    grep -qE '^#ifndef NL_|^#pragma once' "$file" || echo "$file:1:not guarded"
done | offences "header"
