#!/bin/bash
# Installs the Debian packages that building (and, with `test`, testing) needs and this machine lacks; as another user than
# root it prints the command that would.
cd "$(dirname "$0")/.." || exit
. scripts/lib.sh
ensure_packages "${1:-build}"
