#!/bin/sh
# A folder includes only itself and what stands above it.
# bad: src/base/a.c: #include "core/option.h"
# bad: src/core/a.h: int x;\n#include "layers/dense.h"
# bad: norms/a.c: #include "models/mlp.h"
# bad: src/layers/a.c: #include "optim/sgd.h"
# bad: src/train/a.c: #include "norms_table.inc"
# bad: analysis/a.c: #include "train/run.h"
# bad: src/par/a.c: #include "nowhere/a.h"
# good: src/cli/a.c: #include "train/run.h"\n#include "norms_table.inc"
# good: norms/a.c: #include "core/norm.h"\n#include <math.h>
# good: analysis/a.c: #include "stats.h"\n#include "analysis/stats.h"\n#include "base/text.h"
# good: datasets/a.c: #include "datasets/shared.h"
# good: src/base/a.h: // #include "core/option.h"
. "$(dirname "$0")/lib.sh"
# Rank by folder; the same rank elsewhere is not above. analysis reads run files and nothing that trains.
ranks='base 0 par 1 kernel 2 core 3 layers 4 optim 4 norms 5 models 6 datasets 7 io 8 train 9 analysis 10 cli 11'
files '*.c' '*.h' | grep -E '^(src|norms|models|datasets|analysis)/' |
    xargs -r grep -nE '^ *# *include *"' /dev/null |
    awk -v ranks="$ranks" '
        BEGIN {
            n = split(ranks, word, " ")
            for (k = 1; k < n; k += 2) rank[word[k]] = word[k + 1]
            split("layers optim norms models datasets train", word, " ")
            for (k in word) hidden["analysis", word[k]] = 1
        }
        {
            file = $0; sub(/:.*/, "", file)
            mine = file; sub(/^src\//, "", mine); sub(/\/.*/, "", mine)
            split($0, part, "\""); other = part[2]
            if (other ~ /_table\.inc$/) bad = mine != "cli"
            else if (other !~ /\//) bad = 0
            else {
                sub(/\/.*/, "", other)
                bad = other != mine && (!(other in rank) || rank[other] >= rank[mine] ||
                                        (mine, other) in hidden)
            }
            if (bad) print
        }' |
    offences "include against the order of the folders"
