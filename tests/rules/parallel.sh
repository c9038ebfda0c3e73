#!/bin/sh
# Only src/par starts threads or names MPI; nothing names OpenMP.
# bad: src/core/a.c: #pragma omp parallel for
# bad: norms/a.c: int n = omp_get_max_threads();
# bad: src/train/a.c: MPI_Init(0, 0);
# bad: src/io/a.c: pthread_create(&id, NULL, run, NULL);
# good: src/par/par.c: pthread_create(&id, NULL, serve, m);
# good: src/core/a.c: pthread_once(&once, start);
# good: src/core/a.c: /* as omp_ would */ const char *s = "MPI_";
. "$(dirname "$0")/lib.sh"
code | grep -v '^src/par/' | grep -E ':.*(\bomp\b|\bomp_|\b_OPENMP\b|\bMPI_|\bpthread_create\b)' |
    offences "parallel work outside src/par"
