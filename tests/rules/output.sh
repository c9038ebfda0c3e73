#!/bin/sh
# The library never prints, exits or aborts: src/cli alone does.
# bad: src/io/a.c: printf("%d", 1);
# bad: norms/a.c: abort();
# bad: src/core/a.c: int x;\n\nexit(1);
# bad: src/core/a.c: fprintf(stderr, "x");
# good: src/cli/main.c: printf("x"); _exit(1);
# good: src/io/a.c: snprintf(b, 3, "x"); fprintf(file, "x"); atexit(f); /* printf( */
. "$(dirname "$0")/lib.sh"
code | grep -v '^src/cli/' |
    grep -E ':(.*[^A-Za-z0-9_.>])?((_|quick_)?exit|_Exit|abort|v?printf|puts|putchar|perror|f(printf|puts|flush) *\(([^,]*, *)?std(out|err)\b.*) *(\(|$)' |
    offences "output or exit outside src/cli"
