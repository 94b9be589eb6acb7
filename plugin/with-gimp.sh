#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run a command where GIMP 3 and everything Grainwise is built with is installed:
#
#   sh plugin/with-gimp.sh [--for build|test] [--share FOLDER]... [--] COMMAND [ARGUMENT...]
#
# Debian 13, Ubuntu 25.04, Fedora 42 and later versions have GIMP 3: there the
# missing packages are installed, and COMMAND runs as it is.
#
# Older systems have not. There COMMAND runs inside a private Debian 13 in
# ~/.cache/grainwise/debian13, made on the first call. Inside it, COMMAND sees this
# repository, the current folder and every shared FOLDER under their usual names, and
# nothing else of the system; GRAINWISE_ROOT is set to the place of the private Debian.
# To be rid of it:  sudo rm -r ~/.cache/grainwise

set -eu
unset CDPATH
PATH=$PATH:/usr/sbin:/sbin

build_debian='gimp libgimp-3.0-dev libjson-glib-dev libopenblas-dev libgegl-dev
  gcc libc6-dev meson ninja-build pkg-config gettext ca-certificates'
test_debian='xvfb xauth xdotool openbox x11-utils imagemagick dbus-daemon at-spi2-core
  gir1.2-atspi-2.0 python3-gi python3-numpy python3-pil python3-tifffile python3-torch
  locales valgrind clang-format procps librsvg2-common adwaita-icon-theme
  fonts-dejavu-core libimage-exiftool-perl appstream'
build_fedora='gimp gimp-devel json-glib-devel openblas-devel gegl04-devel
  gcc meson ninja-build pkgconf-pkg-config gettext ca-certificates'
test_fedora='xorg-x11-server-Xvfb xorg-x11-xauth xdotool openbox xdpyinfo xprop xwininfo
  ImageMagick dbus-daemon at-spi2-core python3-gobject python3-numpy python3-pillow
  python3-tifffile python3-torch glibc-langpack-de valgrind clang-tools-extra procps-ng
  librsvg2 adwaita-icon-theme dejavu-sans-fonts perl-Image-ExifTool appstream'

repository=$(cd "$(dirname "$0")/.." && pwd -P)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${XDG_CACHE_HOME:-$HOME/.cache}/grainwise
root=$cache/debian13
log=$cache/set-up.log

say() { printf 'grainwise: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
can_be_root() { [ "$(id -u)" -eq 0 ] || have sudo; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo env ${http_proxy:+"http_proxy=$http_proxy"} "$@"
  fi
}

# set_up WHAT COMMAND [ARGUMENT...]: one step of the set-up; its output goes to the log.
set_up() {
  step=$1
  shift
  mkdir -p "$cache"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    fail "$step failed; the lines above are the end of $log.
If they speak of downloads, check the network (behind a proxy, set http_proxy) and start again."
  fi
}

# Which packages of the list $2 does the Debian with the package database $1 lack?
lacking_debian() {
  installed=$(awk '/^Package: /                   { name = $2 }
                   /^Status: install ok installed/ { print name }' "$1")
  for package in $2; do
    printf '%s\n' "$installed" | grep -qxF "$package" || printf '%s ' "$package"
  done
}

lacking_fedora() {
  for package in $1; do
    rpm --quiet -q --whatprovides "$package" || printf '%s ' "$package"
  done
}

### On this system ###

has_build_tools() {
  for tool in gimp-console cc meson ninja msgfmt pkg-config; do
    have "$tool" || return 1
  done
  pkg-config --atleast-version=3.0 gimp-3.0 gimpui-3.0 &&
    pkg-config --exists gegl-0.4 json-glib-1.0 openblas
}

offers_gimp_3() {
  (
    ID='' VERSION_ID=''
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    version=${VERSION_ID%%.*}
    case $ID in
      debian) [ "${version:-99}" -ge 13 ] ;; # Debian testing has no VERSION_ID
      ubuntu) [ "$version" -ge 25 ] ;;
      fedora) [ "$version" -ge 42 ] ;;
      *) have apt-cache && apt-cache show libgimp-3.0-dev >/dev/null 2>&1 ;;
    esac
  )
}

install_here() {
  say "installing $# packages: $*"
  if have apt-get; then
    can_be_root || fail "this needs root, and there is no sudo. As root, run
  apt-get update && apt-get install --no-install-recommends $*"
    set_up 'updating the package lists' as_root apt-get -q update
    set_up 'installing packages' as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -q -y -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
  elif have dnf; then
    can_be_root || fail "this needs root, and there is no sudo. As root, run
  dnf install --skip-unavailable $*"
    set_up 'installing packages' as_root \
      dnf -y --setopt=install_weak_deps=False --skip-unavailable install "$@"
  else
    fail "please install these (or what your system calls them), then start again: $*"
  fi
}

prepare_system() {
  wanted_debian=$build_debian wanted_fedora=$build_fedora
  if has_build_tools; then # perhaps built from source, so do not ask for packages
    wanted_debian='' wanted_fedora=''
  fi
  if [ "$purpose" = test ]; then
    wanted_debian="$wanted_debian $test_debian"
    wanted_fedora="$wanted_fedora $test_fedora"
  fi
  if have apt-get; then
    missing=$(lacking_debian /var/lib/dpkg/status "$wanted_debian")
  elif have dnf; then
    missing=$(lacking_fedora "$wanted_fedora")
  else
    missing=''
  fi
  # shellcheck disable=SC2086 # one word per package
  [ -z "$missing" ] || install_here $missing
}

### In a private Debian 13 ###

# in_root ROOT USER COMMAND [ARGUMENT...]: run COMMAND as USER (user-id:group-id) in the
# system below ROOT. The mounts are made in a namespace of their own: nothing outside
# sees them, and they vanish when COMMAND ends, however it ends.
in_root() {
  new_root=$1 user=$2
  shift 2
  for name in CI TERM NO_COLOR http_proxy https_proxy no_proxy NINJA_STATUS \
    MESON_TESTTHREADS OMP_NUM_THREADS OPENBLAS_NUM_THREADS; do
    value=$(printenv "$name") && set -- "$name=$value" "$@"
  done
  as_root unshare --mount --propagation unchanged sh "$repository/plugin/with-gimp.sh" \
    --enter "$new_root" "$user" "$(pwd -P)" "$folders" "$@"
}

# The part of in_root that runs as root in the new namespace.
enter() {
  new_root=$1 user=$2 folder=$3 folders=$4
  shift 4
  mount --make-rprivate / 2>/dev/null || : # fails in a chroot, where it is not needed
  for system_folder in /proc /sys /dev; do
    mount --rbind "$system_folder" "$new_root$system_folder"
  done
  printf '%s' "$folders" | while IFS= read -r shared; do
    mkdir -p "$new_root$shared"
    mount --rbind "$shared" "$new_root$shared"
  done

  home=/var/lib/grainwise
  mkdir -p "$new_root$home"
  chown "$user" "$new_root$home"
  grep -q "^[^:]*:[^:]*:${user%:*}:" "$new_root/etc/passwd" ||
    echo "grainwise:x:$user::$home:/bin/sh" >>"$new_root/etc/passwd"

  # shellcheck disable=SC2016 # the inner shell expands these
  exec chroot --userspec="$user" "$new_root" env -i HOME="$home" LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GRAINWISE_ROOT="$new_root" sh -c 'cd "$1" && shift && exec env "$@"' sh "$folder" "$@"
}

# The first package archive of this system whose address ends in $1, else Debian's own.
archive() {
  # shellcheck disable=SC2016 # apt expands this
  found=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m 1 "/$1/*\$" || :)
  printf '%s\n' "${found:-http://deb.debian.org/$1}"
}

# install_in ROOT PACKAGE...
install_in() {
  target=$1
  shift
  say "installing $# packages in the private Debian 13 (takes minutes)"
  set_up 'copying the network settings' as_root cp -L /etc/resolv.conf "$target/etc/"
  # shellcheck disable=SC2016 # the inner shell expands this
  set_up 'installing packages in the private Debian 13' in_root "$target" 0:0 \
    DEBIAN_FRONTEND=noninteractive sh -ec '
      apt-get -q update
      dpkg --configure -a # in case an earlier installation was interrupted
      apt-get -q -y -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
      apt-get clean
    ' sh "$@"
}

make_root() {
  as_root unshare --mount --propagation unchanged true ||
    fail 'this system does not let root mount anything (a container without privileges?).
Use Debian 13, Ubuntu 25.04, Fedora 42 or newer here: they need no private Debian.'
  say "this system has no GIMP 3: making a private Debian 13 in $root"
  if ! have debootstrap || ! have mount || [ ! -e "$keyring" ]; then
    if have apt-get; then
      install_here debootstrap debian-archive-keyring mount
    else
      install_here debootstrap debian-keyring
    fi
  fi

  # Under another name until it is whole, so that no half is ever taken for it.
  mirror=${GRAINWISE_MIRROR:-$(archive debian)}
  part=$root.part
  as_root rm -rf --one-file-system "$part"
  # The script named last is the one for Debian 13 as well; old versions do not know that.
  set_up "making a Debian 13 from $mirror (GRAINWISE_MIRROR=ADDRESS names another one)" \
    as_root unshare --mount --propagation unchanged debootstrap --variant=minbase \
    --force-check-gpg --keyring="$keyring" trixie "$part" "$mirror" \
    /usr/share/debootstrap/scripts/sid
  as_root tee "$part/etc/apt/sources.list" >/dev/null <<END
deb $mirror trixie main
deb $mirror trixie-updates main
deb $(archive debian-security) trixie-security main
END
  echo force-unsafe-io | as_root tee "$part/etc/dpkg/dpkg.cfg.d/fast" >/dev/null
  # shellcheck disable=SC2086 # one word per package
  install_in "$part" $wanted
  as_root mv "$part" "$root"
}

prepare_root() {
  can_be_root || fail 'this system has no GIMP 3, and running one in a private Debian 13
needs root: please start this command again as root, or install sudo.'
  wanted=$build_debian
  [ "$purpose" = build ] || wanted="$wanted $test_debian"
  mkdir -p "$cache"
  exec 9>"$cache/lock" # one set-up at a time
  flock 9
  [ -d "$root" ] || make_root
  missing=$(lacking_debian "$root/var/lib/dpkg/status" "$wanted")
  # shellcheck disable=SC2086 # one word per package
  [ -z "$missing" ] || install_in "$root" $missing
  exec 9>&-
}

# share FOLDER: let the private Debian see it. Its own folders cannot be replaced.
share() {
  case $1 in
    / | /bin | /dev | /etc | /lib | /lib64 | /proc | /run | /sbin | /sys | /usr | \
      /usr/bin | /usr/lib | /usr/share | /var | /var/lib) return 1 ;;
  esac
  folders="$folders$1
"
}

if [ "${1-}" = --enter ]; then
  shift
  enter "$@"
fi

usage='usage: with-gimp.sh [--for build|test] [--share FOLDER]... [--] COMMAND [ARGUMENT...]'
purpose=build
folders=''
while [ $# -gt 1 ]; do
  case $1 in
    --for) purpose=$2 ;;
    --share)
      shared=$(cd "$2" && pwd)
      share "$shared" || fail "cannot share the system's own folder $shared"
      ;;
    *) break ;;
  esac
  shift 2
done
[ "${1-}" != -- ] || shift
[ $# -gt 0 ] || fail "$usage"
case $purpose in
  build | test) ;;
  *) fail "$usage" ;;
esac

if has_build_tools || offers_gimp_3; then
  prepare_system
  export GRAINWISE_ROOT=''
  exec "$@"
fi

share "$repository"
share "$(pwd -P)" || :
prepare_root
in_root "$root" "$(id -u):$(id -g)" "$@"
