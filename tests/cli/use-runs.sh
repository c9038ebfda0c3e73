# shellcheck shell=sh
# train, compare, show: small runs on generated points.
# shellcheck disable=SC2034,SC2154 # shared with use.sh
small="data=circles:train=200:test=100 model=mlp:hidden=8 steps=20 batch=20"

# shellcheck disable=SC2086 # one word a key
{
    good "done after 20 steps" train $small norm=batch
    good "finished before" train $small norm=batch threads=2
    good "done after 20 steps" train $small precision=double out=double
    good "outcome" show runs/batch-seed1-*
    printf 'data: circles:train=200:test=100\nmodel: {name: mlp, hidden: [8, 8]}\nsteps: 20\nbatch: 20\n' >run.yaml
    good "done after 10 steps" train run.yaml steps=10

    export NORMLAB_PAPERS="$parts/../../paper"
    bad 2 "no paper 'ioffe2016'; did you mean 'ioffe2015'?" reproduce ioffe2016
    unset NORMLAB_PAPERS
    bad 2 "reproduce wants the key of a paper" reproduce
    mkdir -p papers/tiny2026
    cat >papers/tiny2026/study.yaml <<'END'
data: circles:train=200:test=100
model: mlp:hidden=8
norm: [none, batch]
seeds: 2
steps: 20
batch: 20
END
    printf 'baseline\tnone\nT1\tscore\tbatch\tabove\t/evals/test_accuracy\tit is better\n' >papers/tiny2026/claims.tsv
    printf 'T1\tsteps\tbatch\tbelow\t/evals/test_accuracy\tit is faster\n' >>papers/tiny2026/claims.tsv
    export NORMLAB_PAPERS=papers
    run reproduce tiny2026 out=tiny
    grep -q "Claims of tiny2026" out || complain "no claims"
    grep -q "not measured, as no pair of runs came so far" out || complain "a claim without a number has one"
    run reproduce tiny2026 steps=10 out=tiny # runs of 20 steps lie there too
    grep -q "2 methods x 2 seeds · 10 steps" out || complain "runs of another study are told of"
    [ "$(find tiny -name 'report-*.html' | wc -l)" -eq 2 ] || complain "no page for each study"
    unset NORMLAB_PAPERS
    good "reestimated" evaluate runs/batch-seed1-* --policy=all --batch=1,20
    good '"policy": "running", "batch": 20' evaluate runs/batch-seed1-* --policy=running --batch=20 --json
    bad 2 "no policy 'runing'; did you mean 'running'?" evaluate runs/batch-seed1-* --policy=runing
    bad 2 "--batch wants up to 16 numbers" evaluate runs/batch-seed1-* --batch=1,0
    bad 1 "nowhere/checkpoint.nlc" evaluate nowhere
    bad 2 "evaluate wants the folder of a run" evaluate

    run compare $small norm=none,batch seeds=2 out=many
    ended 0
    [ "$(wc -l <err)" -eq 4 ] || complain "stderr is not one line a run"
    grep -q "done, 20 steps" err || complain "stderr does not tell of a run's end"
    grep -q "2 methods x 2 seeds" out || complain "no table"
    [ -s many/report.html ] || complain "no report"
    [ "$(readlink many/report.html)" = "$(basename many/report-*.html)" ] || complain "no report of its own name"
    run compare $small norm=none,batch seeds=2 out=many --no-report --json
    [ "$(grep -c 'was finished before' err)" -eq 4 ] || complain "finished runs are run again"
    grep -q '^{' out || complain "no JSON"
    run compare $small optimizer=sgd,adam norm=none out=many --baseline=optimizer=adam
    grep -q "optimizer=adam" out || complain "methods are not named by what differs"

    # a run that fails: the others end, the message is its own
    mkdir -p broken && "$program" train $small norm=none out=broken >out 2>err
    for folder in broken/none-*; do
        rm -f "$folder"/* && mkdir "$folder/run.h5.part"
    done
    run compare $small norm=none,batch seed=1 out=broken --no-report
    ended 1
    grep -q "1 of 2 runs failed" err || complain "stderr does not count the failed runs"
    grep -q "run.h5" err || complain "stderr does not say what failed"

    # told to stop, it ends its children and can be started again
    "$program" compare data=circles steps=1000000 norm=none,batch seeds=1 out=long >out 2>err &
    words="compare, ended by SIGTERM"
    sleep 1
    kill -TERM $!
    wait $!
    [ $? -eq 130 ] || complain "status is not 130"
    grep -q "goes on from here" err || complain "stderr does not say how to go on"

    bad 2 "run: batch=201 is larger than the 200 training examples" train data=circles:train=200 batch=201
    bad 2 "batch=201 is larger" compare data=circles:train=200 batch=201
    bad 1 "Not a directory" train $small out=/dev/null/there
    bad 1 "Not a directory" compare $small out=/dev/null/there
    bad 2 "out is empty" train $small out=
    bad 2 "out is empty" compare $small out=
    bad 2 "at most 900 are wanted" train $small out="$(printf '%0901d' 0)"
    bad 2 "line break" compare $small out="a
b"
    bad 2 "gamma.init=abc: " compare $small norm=none,batch:gamma.init=abc out=checked
    bad 1 "instance: " compare $small norm=none,instance out=checked
    bad 1 "group:groups=3: " compare $small norm=none,group:groups=3 out=checked
    bad 2 "data is 'circles' and 'moons'" compare data=circles,moons norm=none out=checked
    [ -e checked ] && complain "runs were started before all were checked"
    good "done after 20 steps" train $small norm=layer --record=init,order
    grep -aq record runs/layer-*/run.h5 || complain "--record keeps nothing"
    grep -aq record runs/batch-seed1-*/run.h5 && complain "without --record something is kept"
    bad 2 "record is given twice" train $small record=init --record=order
    bad 2 "record wants init, order or init,order, got 'inti'" compare $small --record=inti
    run compare $small norm=none,layer:eps=1e-3 seeds=1 out=many --no-report --baseline=layer
    grep -q "In full: layer:eps=1e-3" out || complain "the specs are not said in full"
    bad 2 "no method of this comparison is called 'batch'" compare $small norm=none,layer --baseline=batch

    # statistics of what has run: one task, then a grid of rates
    good "score: test accuracy, %" stats many
    run compare $small norm=none,batch optimizer=sgd:lr=0.1,sgd:lr=0.3 seeds=2 out=grid --no-report
    good "test accuracy, % over optimizer.lr" stats grid
    good "Friedman's chi-square" stats grid --baseline=batch
    run sweep $small norm=none,batch optimizer=sgd:lr=0.1,sgd:lr=0.3 batch=20,40 seed=1 out=sweep
    [ "$status" -eq 2 ] || complain "a key given twice is not refused"
    run sweep data=circles:train=200:test=100 model=mlp:hidden=8 steps=20 norm=none,batch \
        optimizer=sgd:lr=0.1,sgd:lr=0.3 batch=20,40 seeds=2 out=sweep
    ended 0
    grep -q "over optimizer.lr at batch=20" out || complain "no table over the rate"
    grep -q "over batch at optimizer.lr=0.3" out || complain "no table over the batch"
    good '"sensitivity": [' stats grid --json
    good "optimizer.lr=0.3,batch,test_accuracy" stats grid --csv
    [ "$(wc -l <out)" -eq 5 ] || complain "not one row a task and method"
    good "run,outcome,method,data,data.train" collect grid many
    good '"optimizer.lr": 0.3' collect grid --json
    run compare $small norm=none,batch seeds=2 out=pair --no-report
    good "report: report.html" report pair
    grep -q "<h1>none and batch on circles" report.html || complain "the page does not say what was compared"
    grep -q "the paired t test against none" report.html || complain "the page states no rule"
    good "report: grid.html" report grid -o grid.html
    grep -q "optimizer.lr = 0.1, 0.3" grid.html || complain "the page does not say what varies"
    grep -q "<h1>none and batch over 2 tasks" grid.html || complain "the page does not say what was compared"
    good "report: one.html" report grid optimizer.lr=3e-1 --output=one.html
    grep -q "<h1>none and batch on circles" one.html || complain "key=value keeps other runs"
}
bad 2 "no run has optimizer.lr=0.2; there is 0." report grid optimizer.lr=0.2
bad 2 "no run has seed=3; there is 1, 2" report grid seed=3
bad 2 "no run has the key 'optimizer.lrr'; did you mean 'optimizer.lr'?" report grid optimizer.lrr=0.1
bad 2 "report wants a folder with runs" report
bad 1 "nowhere: No such file or directory" report nowhere
bad 1 "no/page.html.tmp: cannot be created: No such file or directory" report grid -o no/page.html
good "3.30 x" figure percentiles pair -o p.pdf
good "h1/preact: after the norm" figure percentiles pair --of=h1 -o p.svg
good "6.80 x" figure test-accuracy grid optimizer.lr=0.3 --width=double --dpi=100 -o p.png
good "3.00 x 2.00 in" figure sensitivity grid --of=optimizer.lr --width=216pt --height=50.8mm -o v.svg
bad 2 "there is no figure 'percentile'; did you mean 'percentiles'?" figure percentile pair -o p.pdf
bad 2 "p.gif: a figure ends with .pdf, .svg or .png" figure loss pair -o p.gif
bad 2 "figure wants -o FILE" figure loss pair
bad 2 "figure wants a kind and a folder" figure
bad 2 "there is no 'h7/preact'; did you mean 'h1/preact'?" figure percentiles pair --of=h7/preact -o p.pdf
bad 2 "the runs have nothing to show of it (/layers/@/gradient_norm)" figure gradient-steps pair -o p.pdf
bad 2 "is of one task, these are 2; key=value chooses, as in 'optimizer.lr=0.1'" figure loss grid -o p.pdf
bad 2 "wants runs that differ in a key" figure sensitivity pair -o p.pdf
bad 2 "--width wants single, double or a length from 0.5in to 40in" figure loss pair -o p.pdf --width=3
bad 2 "--letters wants points from 3 to 72, got 'big'" figure loss pair -o p.pdf --letters=big
bad 2 "--dpi wants a whole number from 30 to 2400" figure loss pair -o p.pdf --dpi=0
bad 1 "no/p.pdf" figure loss pair -o no/p.pdf
good "4 finished" watch pair
bad 2 "watch wants a folder with runs" watch
bad 1 "nowhere: No such file or directory" watch nowhere
bad 2 "did you mean 'once'?" watch pair --onec
bad 2 "report: --output wants a value" report grid -o
mkdir -p empty
bad 2 "empty: no run.h5 in or below it" stats empty
bad 1 "nowhere: No such file or directory" stats nowhere
bad 2 "did you mean 'batch'?" stats grid --baseline=bacth
bad 2 "wants an accuracy above 0 and at most 1, got 'high'" stats grid --target=high
bad 2 "exclude each other" stats grid --json --csv
bad 2 "wants a folder with runs" stats
bad 2 "wants a folder with runs" collect
bad 2 "no run.h5" collect empty
bad 2 "wants csv, json or tensorboard, got 'xml'" export grid --to=xml
bad 2 "wants a run file or the folder of one" export
bad 2 "--out is of one run, here are 2" export a b --to=csv --out=c
bad 1 "nowhere" export nowhere --to=csv
bad 2 "did you mean 'batch'?" train bacth=60
bad 2 "batch cannot sit in slot weight of h1" train norm.weight=batch steps=1
bad 2 "did you mean 'batch'?" train norm=bacth
bad 2 "batch has no option 'epss'; did you mean 'eps'?" train norm=batch:epss=1
bad 2 "is outside" train norm=batch:eps=-1
bad 2 "did you mean 'adam'?" train optimizer=adma
bad 2 "lr" train optimizer=sgd:lr=fast
bad 2 "is outside" train steps=-1
bad 2 "a budget is one of them" train steps=1 epochs=1
bad 2 "one run takes one" train norm=none,batch
bad 2 "neither key=value nor the name of a .yaml file" train mnist
bad 2 "none.yaml: No such file or directory" train none.yaml
bad 2 "are the same run" compare data=circles norm=none,identity
bad 2 "at most two keys" compare norm=none,batch batch=1,2 order=fixed,reshuffle
bad 2 "did you mean 'no-report'?" compare --no-reprot
bad 2 "--baseline wants a value" compare --baseline
printf 'steps: 10\nnorm: [none, bacth]\n' >bad.yaml
bad 2 "bad.yaml:2:14: " compare bad.yaml
printf 'steps: 10\n  norm: none\n' >bad.yaml
bad 2 "bad.yaml:2:" train bad.yaml
NORMLAB_DATA=$here/nothing bad 1 "nothing" train data=mnist
bad 1 "nothing.h5" show nothing.h5
bad 2 "wants a run file" show
