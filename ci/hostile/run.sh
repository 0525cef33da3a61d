#!/usr/bin/env bash
# run.sh [FOLDER OF DAMAGED IMAGES...]: the long way through what docs/threats.md promises. Takes about an hour in the
# dev profile; every figure is printed. Needs what ci/setup.sh installs, and root for what only the kernel can make.
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=${PROFILE:-dev}
folder=$([ "$profile" = dev ] && echo debug || echo "$profile")
cargo build --profile "$profile" --bin cranescope
for test in survive intact faults same named_files confined; do
  CRANESCOPE_LONG=1 timeout 3600 cargo test --profile "$profile" --test suite "$test" -- --nocapture --test-threads 1
done
program=$PWD/target/$folder/cranescope
cd ci/hostile
python3 bombs.py "$program"
[ $# = 0 ] || python3 corpus.py "$program" "$@"
