#!/bin/sh
# evaluate.sh LEDGER SECONDS TRIAL X LR LAYERS: what worker.py's `evaluate` does, as a command for trialmill.
# A line is one write to a file opened for appending, so the lines of several processes do not mix.
ledger=$1 seconds=$2 trial=$3
read -r began _ </proc/uptime
printf '{"event":"start","side":"trialmill","trial":"%s","pid":%d,"at":%s}\n' "$trial" $$ "$began" >>"$ledger"
[ "$seconds" = 0 ] || sleep "$seconds"
if [ -n "$EVALUATE_REPORTS_LAYERS" ]; then
    # A step before the end; the answer may be that there is no point in going on.
    echo "1 $6" >>"$TRIALMILL_PROGRESS"
    until [ -s "$TRIALMILL_ANSWERS" ]; do sleep 0.01; done
    if grep -q '"prune":true' "$TRIALMILL_ANSWERS"; then
        read -r ended _ </proc/uptime
        printf '{"event":"end","side":"trialmill","trial":"%s","pid":%d,"at":%s,"objective":null}\n' "$trial" $$ "$ended" >>"$ledger"
        exit 0
    fi
fi
objective=$(awk -v x="$4" -v lr="$5" -v layers="$6" 'BEGIN { printf "%.17g", x * x + lr + layers }')
read -r ended _ </proc/uptime
printf '{"event":"end","side":"trialmill","trial":"%s","pid":%d,"at":%s,"objective":%s}\n' "$trial" $$ "$ended" "$objective" >>"$ledger"
echo "$objective"
