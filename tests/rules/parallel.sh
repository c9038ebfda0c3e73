#!/bin/sh
# Only src/par names OpenMP or MPI.
# bad: src/core/a.c: #pragma omp parallel for
# bad: norms/a.c: int n = omp_get_max_threads();
# bad: src/train/a.c: MPI_Init(0, 0);
# good: src/par/par.c: #pragma omp parallel
# good: src/core/a.c: /* as omp_ would */ const char *s = "MPI_";
. "$(dirname "$0")/lib.sh"
code | grep -v '^src/par/' | grep -E ':.*(\bomp\b|\bomp_|\b_OPENMP\b|\bMPI_)' |
    offences "parallel work outside src/par"
