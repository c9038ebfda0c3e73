#!/bin/sh
# Random numbers come from src/base/random.h alone, in the tests too.
# bad: src/core/a.c: int x = rand();
# bad: tests/unit/a.c: srand (3);
# bad: datasets/a.c: double u = drand48();
# good: tests/unit/a.c: nl_random_uniform(k, 1); operand(x); /* rand() */
. "$(dirname "$0")/lib.sh"
code src norms models datasets analysis tests bench |
    grep -E ':(.*[^A-Za-z0-9_.>])?(s?rand|rand_r|s?random|[delnm]rand48|arc4random|getrandom) *\(' |
    offences "a random number not from base/random.h"
