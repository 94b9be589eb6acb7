#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install what is needed, build Grainwise with warnings as errors, and run its tests:
#
#   sh tests/run.sh [ARGUMENTS OF meson test...]
#
# The last line tells how many tests passed, failed and were skipped.

set -eu
unset CDPATH
cd "$(dirname "$0")/.."

build='build-tests'
with_gimp() { sh plugin/with-gimp.sh --for test -- "$@"; }
configure() { with_gimp meson setup "$@" -Dwerror=true "$build"; }

with_gimp true
configure --reconfigure || configure --wipe # made by another compiler, or half-made
with_gimp meson compile -C "$build"

rm -f "$build"/meson-logs/testlog*.json
status=0
with_gimp meson test -C "$build" --print-errorlogs "$@" || status=$?

# One line of JSON per test; quotes inside of strings are escaped there.
cat "$build"/meson-logs/testlog*.json 2>/dev/null | awk '
  /"result": "(OK|EXPECTEDFAIL)"/                               { passed++; next }
  /"result": "SKIP"/                                            { skipped++; next }
  /"result": "/                                                 { failed++ }
  END {
    printf "%d passed, %d failed", passed, failed
    if (skipped)
      printf ", %d skipped", skipped
    print ""
    exit !(passed && !failed)
  }' || status=1
exit "$status"
