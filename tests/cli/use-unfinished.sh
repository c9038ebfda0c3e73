# shellcheck shell=sh
# Runs that did not end: they go on by themselves, or start anew; their files are read as they are.
# shellcheck disable=SC2034,SC2154 # shared with use.sh
long="data=circles:train=200:test=100 model=mlp:hidden=8 steps=20000 batch=20 eval=20000 log=200 checkpoint=5000"

killed() { # ARGS...: a run that got SIGKILL after its first checkpoint
    words=$*
    "$program" train "$@" >out 2>err &
    waited=0
    until ls again/*/checkpoint.nlc >/dev/null 2>&1 || [ $waited -gt 200 ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
    kill -KILL $!
    wait $! 2>/dev/null
    ls again/*/run.h5.part >/dev/null || complain "the run ended before it was killed"
}

# shellcheck disable=SC2086 # one word a key
{
    killed $long out=again
    cp -r again copy
    good "rows" recover copy/*/run.h5.part
    good "killed" show copy/*/run.h5*
    good "resuming at step " train $long out=again
    grep -q "done after 20000 steps" out || complain "the resumed run does not end"
    good "finished before" train $long out=again --resume
    good "done after 20000 steps" train $long out=again --fresh
    grep -q "resuming" out && complain "--fresh goes on from a checkpoint"
    rm -rf again
    killed $long out=again
    good "done after 20000 steps" train $long out=again --fresh
    grep -q "resuming" out && complain "--fresh goes on from a checkpoint"
    bad 2 "exclude each other" train $long --fresh --resume-anyway
}
