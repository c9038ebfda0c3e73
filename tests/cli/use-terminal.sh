# shellcheck shell=sh
# On a terminal, where there is `script` to make one: a bar; elsewhere nothing.
# shellcheck disable=SC2034,SC2154 # shared with use.sh
words="train, on a terminal"
if command -v script >/dev/null; then
    TERM=xterm CI='' script -qec "$program train data=circles:train=200:test=100 model=mlp:hidden=8 \
steps=2000 batch=20 out=terminal" /dev/null </dev/null >out 2>err || complain "it failed"
    grep -q '#* *\] 2000/2000 steps' out || complain "no bar at its end"
fi
