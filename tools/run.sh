#!/bin/sh
# Opens the dashboard with the rights that can be had: as root, through sudo, else observing only.
set -eu

cd "$(dirname "$0")/.."
smoothtask=.venv/bin/smoothtask

if [ "$(id -u)" = 0 ]; then exec $smoothtask top "$@"; fi
if command -v sudo >/dev/null; then
    if [ -t 0 ]; then sudo -v && exec sudo $smoothtask top "$@"
    elif sudo -n true 2>/dev/null; then exec sudo -n $smoothtask top "$@"
    fi
fi
echo "run: no root here, so it observes and changes nothing" >&2
exec $smoothtask top --observe "$@"
