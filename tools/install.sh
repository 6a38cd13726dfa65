#!/bin/sh
# Installs SmoothTask for good, or takes it away: `install.sh install|uninstall`, as root. PREFIX is its folder.
#
# Rule 1: everything is under PREFIX, but for a link in /usr/local/bin and the systemd unit.
# Rule 2: uninstalling first puts every changed priority back.
# Rule 3: a folder that this script has not made is not removed.
set -eu

cd "$(dirname "$0")/.."
prefix=${PREFIX:-/opt/smoothtask}
python=${PYTHON:-python3}
link=/usr/local/bin/smoothtask
unit=/etc/systemd/system/smoothtask.service
mark=$prefix/.smoothtask-installed

say() { printf 'install: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
with_systemd() { [ -d /run/systemd/system ]; }

install_all() {
    if [ -e "$prefix" ] && [ ! -e "$mark" ]; then fail "$prefix is there and is not ours: name another PREFIX"; fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        command -v apt-get >/dev/null || fail "$python cannot make virtual environments: install its venv module"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv libbpf1
    fi
    mkdir -p "$prefix"
    touch "$mark"
    "$python" -m venv "$prefix"
    "$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade .
    mkdir -p "$prefix/share/doc"
    cp docs/install.md "$prefix/share/doc/"
    ln -sfn "$prefix/bin/smoothtask" $link
    if with_systemd; then
        sed "s|/opt/smoothtask|$prefix|g" packaging/smoothtask.service >$unit
        systemctl daemon-reload
        systemctl enable smoothtask.service
        systemctl restart smoothtask.service
        say "running; see: systemctl status smoothtask, smoothtask status, smoothtask top"
    else
        say "no systemd here: start 'smoothtask --daemon' as your system starts services"
    fi
}

uninstall_all() {
    [ -e "$mark" ] || fail "nothing of ours in $prefix"
    if [ -e $unit ] && with_systemd; then systemctl disable --now smoothtask.service; fi
    "$prefix/bin/smoothtask" restore || [ "${FORCE:-}" = 1 ] ||
        fail "not everything could be put back, so nothing is removed (FORCE=1 removes it all the same)"
    rm -f $unit
    if with_systemd; then systemctl daemon-reload; fi
    if [ "$(readlink $link)" = "$prefix/bin/smoothtask" ]; then rm -f $link; fi
    rm -rf "$prefix" /run/smoothtask
    if [ "${KEEP_DATA:-}" != 1 ]; then rm -rf /var/lib/smoothtask; fi
    rmdir /etc/smoothtask 2>/dev/null || [ ! -d /etc/smoothtask ] || say "/etc/smoothtask stays: you wrote it"
}

[ "$(id -u)" = 0 ] || fail "run as root: sudo make ${1:-install}"
case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) fail "usage: $0 install|uninstall" ;;
esac
