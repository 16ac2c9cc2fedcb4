#!/bin/busybox sh
# An evaluation: eval.sh [SECONDS]. That it began and ended is kept outside NFS and outside the guest,
# as empty files whose times are those of the machine outside: one clock for all guests.
# The result names the trial and the attempt.
: > "$LEDGER/start,$TRIALMILL_TRIAL_ID,$TRIALMILL_ATTEMPT,$$"
[ -z "$1" ] || sleep "$1"
: > "$LEDGER/end,$TRIALMILL_TRIAL_ID,$TRIALMILL_ATTEMPT,$$"
echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT"
