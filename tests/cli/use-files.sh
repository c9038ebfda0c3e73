# shellcheck shell=sh
# apply and bench; disks without room, and folders that may not be written to or read.
bad 2 "apply wants a method" apply
bad 2 "wants --in FILE and --out FILE" apply batch --in in.h5
bad 2 "are the same file" apply batch --in in.h5 --out in.h5
bad 2 "nchw or nhwc, got 'ncwh'" apply batch --in in.h5 --out out.h5 --layout ncwh
bad 2 "train or eval, got 'tran'" apply batch --in in.h5 --out out.h5 --phase tran
bad 2 "one method, got 'batch' and 'layer'" apply batch layer --in in.h5 --out out.h5
bad 2 "did you mean 'layout'?" apply batch --laoyut nchw
bad 1 "nothing.h5" apply batch --in nothing.h5 --out out.h5
echo "not a file of arrays" >text.h5
bad 1 "text.h5" apply batch --in text.h5 --out out.h5

good '"limit_share": ' bench kernels norm=rms threads=1 --json
[ "$(grep -c '^{"name": "rms .*"min_ms": .*}$' out)" -eq 6 ] || complain "not six rows of JSON"
good '"median_ms": ' bench step data=circles model=mlp:hidden=8 batch=20 --json
[ "$(wc -l <out)" -eq 1 ] || complain "one step is not one row of JSON"
good 'rest  ' bench layers data=circles model=mlp:hidden=8 norm=batch batch=20
good '"name": "norm", ' bench layers data=circles model=mlp:hidden=8 norm=batch batch=20 --json
good 'every channel off: step' bench logging data=circles model=mlp:hidden=8 norm=batch batch=20
good 'channels that are on take' bench logging data=circles model=mlp:hidden=8 norm=batch batch=20
good '"channel": "norms", ' bench logging data=circles model=mlp:hidden=8 norm=batch batch=20 --json
bad 2 "did you mean 'batch'?" bench logging data=circles norm=bacth
bad 2 "'kernels', 'conv', 'lookup', 'step', 'layers', 'inference' or 'logging'" bench
bad 2 "'kernels', 'conv', 'lookup', 'step', 'layers', 'inference' or 'logging', got 'kernel'" bench kernel
bad 2 "takes norm= and threads=, got 'eps='" bench kernels eps=1
bad 2 "takes optimizer= and threads=, got 'norm='" bench lookup norm=batch
good '"waiting_mb": ' bench lookup optimizer=sgd threads=1 --json
bad 2 "bench conv takes algorithm= and threads=, got 'norm='" bench conv norm=batch
bad 2 "algorithm: wants auto, direct or winograd, got 'fft'" bench conv algorithm=fft
bad 2 "did you mean 'batch'?" bench step norm=bacth

# A disk of 100 kB where one can be mounted, and files of at most 50 kB: one line, status 1.
run_long="train data=circles:train=200:test=100 model=mlp:hidden=8 steps=2000 batch=20 checkpoint=500"
# shellcheck disable=SC2086 # one word a key
{
    mkdir small_disk
    if mount -t tmpfs -o size=100k none small_disk 2>/dev/null; then
        bad 1 "No space left on device" $run_long out=small_disk
        run compare ${run_long#train } norm=none seeds=1 out=small_disk
        ended 1
        grep -q "No space left on device" err || complain "stderr does not say why"
        umount small_disk
    fi
    (
        failed=0
        ulimit -f 100
        bad 1 "cannot be written: File too large" $run_long out=small_files
        exit $failed
    ) || failed=1
    good "done after 2000 steps" $run_long out=small_files
}

# What its mode refuses, it refuses to root only where the right to pass over modes is given up.
with=
[ "$(id -u)" -ne 0 ] || with="setpriv --bounding-set=-dac_override,-dac_read_search"
mkdir closed
chmod 500 closed
# shellcheck disable=SC2086 # one word a key
if $with true 2>/dev/null; then
    bad 1 "Permission denied" $run_long out=closed
    bad 1 "Permission denied" $run_long out=closed/below
    good "done after 2000 steps" $run_long out=open
    bad 1 "Permission denied" report open -o closed/report.html
    bad 1 "Permission denied" figure loss open -o closed/figure.svg
    bad 1 "Permission denied" export open/*/run.h5 --to=csv --out=closed
    chmod 0 open/*/*
    bad 1 "Permission denied" show open/*
    bad 1 "Permission denied" evaluate open/*
    run compare ${run_long#train } norm=none seeds=1 out=closed
    ended 1
    grep -q "Permission denied" err || complain "stderr does not say why"
fi
with=
