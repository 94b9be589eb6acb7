#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Every translation is complete, up to date with the sources, and keeps every %s.
#
#   sh tests/test_translations.sh SOURCE_ROOT

set -eu
cd "$1"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

xgettext --keyword=_ --from-code=UTF-8 --files-from=po/POTFILES --output="$work/template.pot"
# Every source that has strings is listed.
for file in core/*.c ui/*.c plugin/*.c; do
  if grep -q '_ ("' "$file" && ! grep -qx "$file" po/POTFILES; then
    echo "$file is missing in po/POTFILES" >&2
    exit 1
  fi
done

while read -r language; do
  msgmerge --quiet --no-fuzzy-matching --output-file="$work/$language.po" "po/$language.po" "$work/template.pot"
  msgfmt --check --statistics --output-file=/dev/null "$work/$language.po" 2>"$work/said" || {
    cat "$work/said" >&2
    exit 1
  }
  cat "$work/said"
  if grep -q -e untranslated -e fuzzy "$work/said"; then
    msgattrib --untranslated --no-obsolete "$work/$language.po" >&2
    echo "po/$language.po is not complete" >&2
    exit 1
  fi
done <po/LINGUAS
