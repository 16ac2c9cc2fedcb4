#!/bin/sh
# Fuzzes each target for so many seconds, 60 unless told, beginning with the seeds; ends with 1 when
# something was found, whose input is then in fuzz/artifacts/.
#   fuzz/run.sh 60              all of them
#   fuzz/run.sh 60 journal      one
# Needs a nightly toolchain (rustup toolchain install nightly) and cargo-fuzz
# (cargo install cargo-fuzz --locked).
cd "$(dirname "$0")" || exit 2
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- journal records recovery study_json study_file space result trial_id template \
    neps_pickle neps_text
cargo +nightly fuzz build || exit 2
found=0
for target in "$@"; do
    # What was interesting goes to corpus/ and is where the next run begins.
    mkdir -p "corpus/$target"
    echo "== $target, $seconds seconds"
    cargo +nightly fuzz run "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
        -print_final_stats=1 -verbosity=0 2>&1 | tail -n 40 | grep -v '^$'
    [ -z "$(ls "artifacts/$target" 2>/dev/null)" ] || { echo "== $target: FOUND"; found=1; }
done
exit $found
