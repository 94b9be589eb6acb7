#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Install what is needed, build the plug-in, and denoise a photo with it in GIMP:
#
#   sh plugin/denoise-photo.sh [PHOTO [NOISE_LEVEL]]
#
# NOISE_LEVEL is the standard deviation of the noise in 8-bit levels, 0 to 100; without
# it (or with 0) it is estimated. Without PHOTO, a sample photo is taken. The results
# lie beside the photo: NAME-grainwise.xcf, NAME-denoised.png, NAME-uncertainty.png.
# Afterwards the plug-in is in your GIMP, too: Filters > Enhance > Denoise with Confidence.

set -eu
unset CDPATH

repository=$(cd "$(dirname "$0")/.." && pwd -P)
build=$repository/build-photo # all that is made here stays in there
log=$build/log

say() { printf 'grainwise: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
now() { date +%s; }

with_gimp() { sh "$repository/plugin/with-gimp.sh" --for build -- "$@"; }

# step WHAT COMMAND [ARGUMENT...]: the output is in the log, and shown when it fails.
step() {
  what=$1
  shift
  "$@" >>"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    fail "$what failed; the lines above are the end of $log"
  }
}

# A string of Scheme.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# What GIMP says on any machine without a screen; nothing of it concerns the photo.
without_noise() {
  grep -v -e '^$' -e 'cannot open display' -e 'gimp_wire_read' -e 'gimp_flush' \
    -e 'scriptfu-WARNING' -e 'Missing arg type' -e 'g_object_unref' -e 'stray image' \
    -e 'Welcome to GIMP' -e 'Failed to parse tag cache' \
    -e 'batch command executed successfully' "$1" || :
}

### The photo ###

photo=${1-$repository/tests/data/sample.png}
noise_level=${2-0}
[ $# -le 2 ] || fail 'usage: sh plugin/denoise-photo.sh [PHOTO [NOISE_LEVEL]]'
case $photo in
  /*) ;;
  *) photo=$PWD/$photo ;;
esac
[ -e "$photo" ] || fail "there is no file $photo"
[ -f "$photo" ] || fail "$photo is not a file; name one photo"
[ -r "$photo" ] || fail "$photo cannot be read"
folder=$(cd "$(dirname "$photo")" && pwd)
name=$(basename "$photo")
stem=${name%.*}
photo=$folder/$name
[ -w "$folder" ] || fail "cannot write the results into $folder; copy the photo elsewhere"
echo "$noise_level" | awk '{ exit !(/^[0-9]+(\.[0-9]+)?$/ && $0 <= 100) }' ||
  fail "the noise level must be a number from 0 to 100, not '$noise_level'"

### 1. Set-up ###

started=$(now)
mkdir -p "$build"
: >"$log"
say 'set-up: GIMP 3 and what the plug-in is built with'
with_gimp true

### 2. Build ###

set_up=$(now)
say 'build: the plug-in'
# shellcheck disable=SC2016 # expanded where GIMP is
user_folder=$(with_gimp sh -c '
  version=$(gimp-console --version | sed "s/.* \([0-9]*\.[0-9]*\).*/\1/")
  echo "${GIMP3_DIRECTORY:-${XDG_CONFIG_HOME:-$HOME/.config}/GIMP/$version}"')

configure() {
  with_gimp meson setup "$@" "-Dprefix=$build/prefix" "-Dplug-in-dir=$user_folder/plug-ins" \
    "$build/tree" "$repository"
}
configure --reconfigure >>"$log" 2>&1 ||
  step 'configuring' configure --wipe # made by another compiler, or half-made
step 'compiling' with_gimp meson compile -C "$build/tree"
step 'installing the plug-in' with_gimp meson install -C "$build/tree" --no-rebuild

### 3. GIMP ###

built=$(now)
say "GIMP: denoising $photo"
work=$(mktemp -d "$build/photo.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cp "$photo" "$work/$name"
status=0
with_gimp env LC_ALL=C.UTF-8 gimp-console -i -d -f -s \
  --batch-interpreter plug-in-script-fu-eval \
  -b "(load $(quoted "$repository/plugin/denoise-photo.scm"))
      (denoise-photo $(quoted "$work/$name") $noise_level $(quoted "$work/$stem"))" \
  --quit >"$work/gimp.log" 2>&1 || status=$?
cat "$work/gimp.log" >>"$log"
without_noise "$work/gimp.log" >&2
! grep -q 'gimp-file-load failed' "$work/gimp.log" || fail "GIMP cannot open $photo as a photo"
[ "$status" -eq 0 ] || fail "GIMP could not denoise $photo (exit code $status, see above)"
for result in "$stem-grainwise.xcf" "$stem-denoised.png" "$stem-uncertainty.png"; do
  [ -s "$work/$result" ] || fail "GIMP did not write $result"
done
for result in "$stem-grainwise.xcf" "$stem-denoised.png" "$stem-uncertainty.png"; do
  mv -f "$work/$result" "$folder/"
  say "wrote $folder/$result"
done

finished=$(now)
if [ -d "$user_folder/plug-ins/grainwise" ]; then
  say "the plug-in is installed in $user_folder/plug-ins"
else
  say 'the plug-in is installed in the private Debian 13 only, as this system has no GIMP 3'
fi
say "took $((set_up - started)) s for the set-up, $((built - set_up)) s for the build," \
  "$((finished - built)) s in GIMP"
