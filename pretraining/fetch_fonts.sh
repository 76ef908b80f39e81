#!/bin/sh
# Unpacks the freely licensed fonts of Debian 12 (main) into FOLDER/<package>/ without installing them.
# Usage: sh pretraining/fetch_fonts.sh FOLDER
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
debs=$(mktemp -d)
cd "$debs"
cut -d' ' -f1 "$here/packages.txt" | xargs apt-get download
for deb in *.deb; do
    dpkg -x "$deb" "$folder/${deb%%_*}"
done
rm -r "$debs"
