#!/bin/sh
# Puts the clients that the server is tried with into a folder: a Python environment and a tree of npm packages.
# What is there already, in the versions that are asked for, is left as it is.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=$1
wanted=$(cat "$here/requirements.txt" "$here/package.json" | cksum)
[ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && exit

mkdir -p "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
cp "$here/package.json" "$folder/package.json"
npm install --silent --no-audit --no-fund --no-package-lock --prefix "$folder"
printf '%s\n' "$wanted" >"$folder/installed"
