#!/bin/sh
# What ./dev does about missing packages, with dpkg-query, apt-get, sudo and id of our own: as root,
# with sudo, without it, and told not to.
#     dev.sh PATH/OF/dev
# Silence means pass.
dev=$1
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
failed=0

command_of() { # NAME SCRIPT
    printf '#!/bin/sh\n%s\n' "$2" >"$here/$1"
    chmod +x "$here/$1"
}

# everything is installed but what the file `missing` names
# shellcheck disable=SC2016 # the scripts expand these
{
    command_of dpkg-query 'for p; do grep -qxF "$p" "$0.missing" || echo "installed $p"; done'
    command_of apt-get 'echo "apt-get $*" >>"$0.calls"'
    command_of sudo '[ ! -e "$0.refuses" ] || exit 1
shift
echo "$*" >>"$0.calls"
exec "$@"'
    command_of id 'cat "$0.user"'
}

setup() { # USER MISSING WORDS...: leaves out, status
    echo "$1" >"$here/id.user"
    echo "$2" >"$here/dpkg-query.missing"
    rm -f "$here"/*.calls
    shift 2
    PATH=$here:$PATH "$dev" setup build "$@" >"$here/out" 2>&1
    status=$?
}

expect() { # STATUS TEXT CASE: TEXT empty: nothing is said
    [ "$status" -eq "$1" ] || { echo "dev.sh: $3: status $status, expected $1" && failed=1; }
    if [ -z "$2" ] && [ -s "$here/out" ] || ! grep -qF -e "$2" "$here/out" && [ -n "$2" ]; then
        echo "dev.sh: $3: expected '$2', got:" && cat "$here/out" && failed=1
    fi
}

installed() { # CASE
    if ! grep -q '^apt-get .*update' "$here/apt-get.calls" 2>/dev/null ||
        ! grep -q '^apt-get .*install gnuplot-nox$' "$here/apt-get.calls"; then
        echo "dev.sh: $1: apt-get was not asked for the package" && failed=1
    fi
}

untouched() { # CASE
    [ ! -e "$here/apt-get.calls" ] || { echo "dev.sh: $1: apt-get was called" && failed=1; }
}

setup 0 nothing
expect 0 "" "nothing is missing" && untouched "nothing is missing"
setup 0 gnuplot-nox
expect 0 "installing: gnuplot-nox" "root" && installed "root"
setup 1000 gnuplot-nox
expect 0 "installing: gnuplot-nox" "sudo" && installed "sudo"
grep -q apt-get "$here/sudo.calls" 2>/dev/null || { echo "dev.sh: apt-get ran without sudo" && failed=1; }
setup 0 gnuplot-nox --no-install
expect 1 "dev: missing packages: gnuplot-nox" "--no-install" && untouched "--no-install"
touch "$here/sudo.refuses"
setup 1000 gnuplot-nox
expect 1 "sudo apt-get update && sudo apt-get install --no-install-recommends gnuplot-nox" "no sudo"
untouched "no sudo"
exit $failed
