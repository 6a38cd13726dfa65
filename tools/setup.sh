#!/bin/sh
# Makes .venv at the root: `setup.sh run` with what the program needs, `setup.sh dev` with what its tests need too.
# `setup.sh vm` installs what tools/vm needs, `setup.sh desktops` what `make test-desktops` does.
#
# Rule 1: what is there is not touched: without a change of pyproject.toml a second run costs milliseconds.
# Rule 2: Debian's packages are installed where that is allowed (root, or sudo); else it says exactly which to install.
# Rule 3: pip and apt are used as this machine has them configured.
set -eu

cd "$(dirname "$0")/.."
level=${1:-run}
python=${PYTHON:-python3}
venv=.venv

RUN_PACKAGES="libbpf1"
DEV_PACKAGES="tmux gcc libc6-dev stress-ng htop btop clang llvm libbpf-dev libcairo2 util-linux procps git \
    dbus openbox x11-utils pipewire pipewire-bin pulseaudio pulseaudio-utils sway foot wireplumber xdotool xterm xvfb xwayland python3-dbusmock"

VM_PACKAGES="qemu-system-x86 systemd systemd-sysv udev dbus dbus-user-session libpam-systemd kmod passwd util-linux"

DESKTOP_PACKAGES="kwin-wayland gnome-shell weston"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Runs a command as root: as it is, or by sudo, which may ask for a password when a person can answer.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif ! command -v sudo >/dev/null; then return 1
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@" 2>/dev/null
    fi
}

# Which of the packages are not installed; nothing where there is no dpkg to ask.
missing() {
    command -v dpkg-query >/dev/null || return 0
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
    done
}

apt_updated=no
apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$apt_updated" = no ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || return 1
        apt_updated=yes
    fi
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

need_python() {
    command -v "$python" >/dev/null || fail "$python is not there: install Python 3.11 or newer (apt install python3)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$python" --version) is too old: 3.11 or newer is needed (or name another: make PYTHON=python3.12 …)"
}

# Debian's python3 comes without venv and ensurepip.
make_venv() {
    if [ -x $venv/bin/python ] && $venv/bin/python -c 'import pip' 2>/dev/null; then return; fi
    rm -rf $venv
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && ! command -v virtualenv >/dev/null; then
        apt_install python3-venv ||
            fail "$python cannot make virtual environments: as root, run: apt-get update && apt-get install python3-venv"
    fi
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then "$python" -m venv $venv
    else virtualenv -q -p "$python" $venv
    fi || { rm -rf $venv; fail "making $venv failed"; }
}

# The program runs without these: it says what is less good then.
run_packages() {
    packages=$(missing $RUN_PACKAGES)
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" = 0 ] && apt_install $packages; then return 0; fi
    say "libbpf is missing: threads will be read from /proc, which costs more. To change that: apt-get install $packages"
}

# Tests that need one of these and do not find it skip themselves, and say so.
dev_packages() {
    packages=$(missing $DEV_PACKAGES)
    [ -n "$packages" ] || return 0
    apt_install $packages || say "some tests will be skipped. To run them all: apt-get install $packages"
}

# The tests that need one of these and do not find it skip themselves.
desktop_packages() {
    packages=$(missing $DESKTOP_PACKAGES)
    [ -n "$packages" ] || return 0
    apt_install $packages || say "some desktops will be skipped. To test them all: apt-get install $packages"
}

# Where they may not be installed, tools/vm says what is missing; an installation that fails is an error.
vm_packages() {
    packages=$(missing $VM_PACKAGES)
    [ -n "$packages" ] || return 0
    if command -v apt-get >/dev/null && as_root true; then apt_install $packages
    else say "the tests in the VM will be skipped. To run them: apt-get install $packages"
    fi
}

stamp=$venv/.smoothtask-$level
stamp_text() { cat pyproject.toml tools/setup.sh | cksum; echo "$python"; pwd; }

case $level in
    run) wanted=. ;;
    dev) wanted=".[dev]" ;;
    vm) vm_packages; exit ;;
    desktops) desktop_packages; exit ;;
    *) fail "usage: $0 run|dev|vm|desktops" ;;
esac
if [ -x $venv/bin/smoothtask ] && [ "$(stamp_text)" = "$(cat $stamp 2>/dev/null)" ]; then exit 0; fi

need_python
if [ "$level" = dev ]; then dev_packages; fi
run_packages
make_venv
say "installing $wanted into $venv"
$venv/bin/python -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --editable "$wanted"
# So that the first start is quick, and root's runs leave no folders of root's here.
$venv/bin/python -m compileall -q src tui trainer
stamp_text >$stamp
if [ "$level" = dev ]; then cp $stamp $venv/.smoothtask-run; fi
