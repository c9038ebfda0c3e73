# shellcheck shell=sh
# Commands that list, describe, help, check, recover.
# shellcheck disable=SC2034,SC2154 # shared with use.sh
good "Usage: normlab COMMAND" help
good "Usage: normlab COMMAND" --help
grep -q '^  [a-z]* [^ ]' out && complain "a command and what it does are less than two spaces apart"
good "normlab 0." --version
good "normlab 0." version
for command in $("$program" help | awk '/^  [a-z]/ { print $1 }'); do
    grep -q "^|.*\`$command\`" "$parts/../../docs/command-line.md" ||
        complain "docs/command-line.md does not describe $command"
    case $command in
    help | version) ;;
    *)
        good Usage: help "$command"
        good Example "$command" --help
        grep -q "normlab $command " out || complain "no example of its own"
        ;;
    esac
done
good "Batch normalization" norms
good "gamma.init" norms batch
good '"name": "batch"' norms --json
good '"key": "eps"' norms batch --json
good "hidden" models mlp
good "Multilayer" models
good "Protocol" models mlp
good "handwritten" datasets mnist
good "circles" datasets
good "Internal covariate shift" probes
good "/probes/landscape" probes landscape
good "nesterov" optimizers
good "eps_mode" optimizers adam
good "milestones" optimizers sgd
good "glorot_uniform" initializers
good "orthogonal(gain), by default 1" initializers orthogonal
good "What each slot sees" channels
good "/gradient_histograms of the run file" channels gradient_histograms

bad 2 "a command is wanted"
bad 2 "did you mean 'norms'?" nroms
bad 2 "there is no command 'frobnicate'" frobnicate
bad 2 "did you mean 'json'?" norms --jsno
bad 2 "has no option '-x'" norms -x
bad 2 "--json takes no value" norms --json=1
bad 2 "did you mean 'batch'?" norms bacth
bad 2 "one method, got 'batch' and 'layer'" norms batch layer
bad 2 "did you mean 'mlp'?" models mpl
bad 2 "did you mean 'mnist'?" datasets mnits
bad 2 "did you mean 'hessian'?" probes hesian
bad 2 "did you mean 'adam'?" optimizers adma
bad 2 "did you mean 'he_uniform'?" initializers he_unifrom
bad 2 "did you mean 'activations'?" channels activation
bad 2 "log: no channel 'histogram'; did you mean 'histograms'?" train log=histogram
bad 2 "every wants a number of steps, 0 or off, got 'x'" train log=params:every=x
bad 2 "the network has no layer 'h9'; did you mean 'h1'? (known: h1, h2, out)" \
    train data=circles model=mlp:hidden=8x2 steps=5 log=histograms:layers=h9
bad 2 "no probe 'icz'; did you mean 'ics'?" train probe=icz
bad 2 "did you mean 'batch'?" check bacth
bad 2 "batch has no option 'epss'" check batch:epss=1
bad 2 "wants a run file" recover
bad 1 "nothing.h5" recover nothing.h5
echo "not a run" >text.h5
bad 1 "text.h5" recover text.h5
bad 2 "wants the path of a shared object" norms --plugin
bad 1 "no.so" --plugin no.so norms
bad 1 "no.so" norms --plugin=no.so
