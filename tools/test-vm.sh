#!/bin/sh
# Runs the tests that need a machine of their own: tests/vm with systemd, then tests/vm/bare without.
#
# The slow ones take minutes each and are left out: `make test-vm VM_ARGS="tests/vm/test_killed.py -s"` kills 200 times,
# `VM_ARGS="tests/vm/test_service.py -s"` starts, stops and kills the service as it is shipped.
# With arguments pytest gets these in the place of the first, and the second is left out. Where there can be no VM,
# it says why and is content.
set -eu

cd "$(dirname "$0")/.."
sh tools/setup.sh vm

sudo=
if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then sudo="sudo -n"; fi

vm() {
    status=0
    $sudo .venv/bin/python tools/vm "$@" || status=$?
    case $status in
        0) ;;
        77) exit 0 ;;
        *) exit $status ;;
    esac
}

pytest=".venv/bin/python -m pytest -p no:cacheprovider"
if [ $# -gt 0 ]; then
    vm -- $pytest "$@"
else
    vm -- $pytest tests/vm -m "not slow"
    vm --bare -- $pytest tests/vm/bare
fi
