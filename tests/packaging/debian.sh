#!/usr/bin/env bash
# README's two commands, as a person types them in a fresh minimal Debian.
#
#     sudo tests/packaging/debian.sh                                   # Debian 12 and 13, one after the other
#     sudo tests/packaging/debian.sh trixie -- make test ARGS='-x'     # one of them, and what to run in it
#     sudo tests/packaging/debian.sh forky                             # the coming one, for its newer Python
#
# Each Debian is made by debootstrap below .cache/debian and kept there (`make clean` removes it); the checkout in it is a
# new copy every time. Packages come from where this machine's apt and pip get theirs. A Debian runs in namespaces of its
# own for files and processes, so that nothing that it mounts or starts is left when this ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

NEEDED="make python3-venv" # what README names, and nothing else
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

fail() {
  echo "debian.sh: $1" >&2
  exit 2
}

[ "$(id -u)" = 0 ] || fail "making a Debian needs root: sudo $0 $*"
command -v debootstrap >/dev/null || fail "debootstrap is not installed: apt-get install debootstrap"

suites=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  suites+=("$1")
  shift
done
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie)
command=("${@:2}")

# The first of apt's archives that has the packages of a whole Debian, and not only its updates.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(SUITE) $(COMPONENT)' 'Created-By: Packages' |
  awk '$2 == "Debian" && $4 == "main" && $3 !~ /security|updates|backports/ { print $1; exit }')
[ -n "$mirror" ] || fail "apt knows no archive of Debian's packages: apt-get update"

# What a new system is told of the way to the packages; nothing else of this environment gets into it.
passed=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8)
for name in $(compgen -e); do
  case $name in
    PIP_FIND_LINKS) ;; # a folder of this machine
    PIP_* | *_proxy | *_PROXY) passed+=("$name=${!name}") ;;
  esac
done

mkdir -p .cache/debian
exec 9>.cache/debian/lock
flock --nonblock 9 || fail "another one of these is running here"

make_debian() { # SUITE FOLDER
  [ ! -e "$2/.complete" ] || return 0
  rm -rf "$2"
  mkdir -p "$2"
  local known=/usr/share/debootstrap/scripts/$1
  [ -e "$known" ] || known=${known%/*}/sid # one that is newer than this machine's debootstrap
  debootstrap --variant=minbase "$1" "$2" "$mirror" "$known"
  touch "$2/.complete"
}

enter() { # FOLDER COMMAND...: as root of that Debian, in its checkout
  local root=$1
  shift
  unshare --mount --pid --fork bash -euc '
    root=$1
    shift
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    exec chroot "$root" /usr/bin/env -i "$@"
  ' bash "$root" "${passed[@]}" "$@"
}

for suite in "${suites[@]}"; do
  root=$PWD/.cache/debian/$suite
  make_debian "$suite" "$root"
  cp --dereference /etc/resolv.conf /etc/hosts "$root/etc/"
  # A mirror may be a snapshot of a release that is still being made: signed, and past its date.
  enter "$root" sh -euc "apt-get -o Acquire::Check-Valid-Until=false update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes $NEEDED" >/dev/null
  mkdir -p "$root/etc/ssl/certs"
  [ ! -e $CERTIFICATES ] || cp --dereference $CERTIFICATES "$root$CERTIFICATES"
  rm -rf "$root/root/ezmsg-ledger" "$root"/tmp/*
  mkdir "$root/root/ezmsg-ledger"
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done | tar --create --null --files-from=- | tar --extract --directory="$root/root/ezmsg-ledger"
  enter "$root" sh -c '. /etc/os-release; echo "== $PRETTY_NAME, $(python3 -V)"'
  if [ ${#command[@]} -gt 0 ]; then
    enter "$root" sh -euc 'cd /root/ezmsg-ledger; exec "$@"' sh "${command[@]}"
  else
    enter "$root" sh -euc 'cd /root/ezmsg-ledger; make demo; make test'
  fi
done
