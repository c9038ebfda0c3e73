#!/bin/sh
# Every rule finds its bad samples and lets its good ones through.
set -eu
rules=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
faults=0

put() { # "PATH: CONTENT"
    mkdir -p "$tree/$(dirname "${1%%: *}")"
    printf '%b\n' "${1#*: }" >"$tree/${1%%: *}"
}

for rule in "$rules"/*.sh; do
    name=$(basename "$rule" .sh)
    case $name in lib | selftest) continue ;; esac
    for kind in bad good; do
        grep -q "^# $kind: " "$rule" || { echo "$name has no $kind sample" && faults=1; }
    done
    grep -E '^# (bad|good): ' "$rule" >"$tree.samples"
    while IFS= read -r sample; do
        rm -rf "${tree:?}"/*
        grep '^# with: ' "$rule" | sed 's/^# with: //' >"$tree.with" || true
        while IFS= read -r file; do put "$file"; done <"$tree.with"
        content=${sample#*: }
        put "$content"
        said=$(sh "$rule" "$tree" 2>&1) && passed=yes || passed=no
        case $sample:$passed in
        "# bad:"*:no) case $said in
            "${content%%: *}:"[0-9]*) ;;
            *) echo "$name does not say where: $sample: $said" && faults=1 ;;
            esac ;;
        "# good:"*:yes) ;;
        *) echo "$name does not hold for: $sample $said" && faults=1 ;;
        esac
    done <"$tree.samples"
    rm -f "$tree.samples" "$tree.with"
done
exit $faults
