#!/usr/bin/env bash
# Commands that do next to nothing, beside `xargs -P`: benches/commands.sh TRIALMILL [ROUNDS] [COMMANDS] [WORKERS]
# The sides take turns in one run, each study in a directory of its own that is not removed meanwhile: ext4 passes
# over inodes that were removed within the last minutes with each file that it creates.
set -euo pipefail
trialmill=$(realpath "$1") rounds=${2:-5} n=${3:-2000} workers=${4:-4}
home=$(mktemp -d)
cd "$home"
cat > study.yaml <<STUDY
space: {x: {type: float, lower: 0.0, upper: 1.0}}
optimizer: random_search
seed: 7
give_up_after: 0
STUDY
seconds() { local begin end; begin=$(date +%s%N); "$@" > /dev/null 2>&1 || true; end=$(date +%s%N); echo $(((end - begin) / 1000000)); }
study() { "$trialmill" run study.yaml --dir "$1" -q -w "$workers" --evaluations "$2" "${@:3}"; }
printf 'milliseconds for %s commands, %s at a time\nround  xargs  synced  buffered  ratio\n' "$n" "$workers"
for round in $(seq "$rounds"); do
    x=$(seconds sh -c "seq $n | xargs -P $workers -n 1 /bin/echo")
    s=$(seconds study "synced-$round" "$n" -- /bin/echo "{x}")
    b=$(seconds study "buffered-$round" "$n" --buffered -- /bin/echo "{x}")
    echo "$round $x $s $b" | awk '{printf "%5s %6s %7s %9s  %.2f\n", $1, $2, $3, $4, $3 / $2}'
done
f=$(seconds study failing 500 -- sh -c 'exit 1')
echo "500 commands that end with exit code 1: $f ms"
