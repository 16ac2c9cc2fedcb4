#!/bin/sh
# One trial in a shell: reports a value a step, goes on after the last step of its checkpoint, and ends early
# when it is told to.
#   trialmill run examples/steps.yaml --dir runs/steps
x=$1
checkpoint=$TRIALMILL_TRIAL_DIR/checkpoint
[ -e "$checkpoint" ] && last=$(cat "$checkpoint") || last=0

# It may have been killed before it had reported that one.
step=$last
[ "$step" = 0 ] && step=1
told=0
while [ "$step" -le 8 ]; do
    value=$(awk "BEGIN { print $x + 1 / $step }")
    echo "$step" > "$checkpoint"
    echo "$step $value" >> "$TRIALMILL_PROGRESS"
    told=$((told + 1))
    until [ "$(wc -l < "$TRIALMILL_ANSWERS")" -ge "$told" ]; do sleep 0.01; done
    if tail -n 1 "$TRIALMILL_ANSWERS" | grep -q '"prune":true'; then
        exit 0 # without a result: pruned
    fi
    step=$((step + 1))
done
echo "$x"
