#!/bin/sh
# Good and bad use of the command: exit status, one line on stderr, what the message must say.
#     use.sh PATH/OF/normlab
# Silence means pass.
# shellcheck disable=SC2086,SC2317 # $with is words; the parts call these functions
program=$1
parts=$(cd "$(dirname "$0")" && pwd)
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
cd "$here" || exit 1
failed=0
with= # what starts the program, where it shall not have all rights

complain() {
    echo "use.sh: normlab $words: $1" >&2
    sed 's/^/    /' err >&2
    failed=1
}

run() { # ARGS...: leaves out, err, status
    words=$*
    $with "$program" "$@" >out 2>err </dev/null
    status=$?
}

ended() { # STATUS: how the last run must have ended
    [ "$status" -eq "$1" ] || complain "status $status, expected $1"
}

good() { # TEXT ARGS...: status 0, nothing on stderr, TEXT in stdout
    text=$1
    shift
    run "$@"
    ended 0
    [ -s err ] && complain "stderr is not empty"
    grep -qF -e "$text" out || complain "stdout does not say '$text'"
}

bad() { # STATUS TEXT ARGS...: that status, stdout empty, one line on stderr that has TEXT
    wanted=$1 text=$2
    shift 2
    run "$@"
    ended "$wanted"
    [ -s out ] && complain "stdout is not empty"
    [ "$(wc -l <err)" -eq 1 ] || complain "stderr is not one line"
    grep -q '^normlab: ' err || complain "stderr does not start with the program's name"
    grep -qF -e "$text" err || complain "stderr does not say '$text'"
}

for part in "$parts"/use-*.sh; do
    # shellcheck source=/dev/null
    . "$part"
done
exit $failed
