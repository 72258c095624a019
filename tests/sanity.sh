#!/bin/sh
# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test sanity, on the collection as a user would install it.
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# ansible-test fetches pip's bootstrap script from a server of its own; Python brings pip along.
requirements=$(python3 -c 'import ansible_test._internal.python_requirements as module; print(module.__file__)')
mkdir -p "$place/.ansible/test/cache"
sed -n "s/.*pip='\([0-9.]*\)'.*/\1/p" "$requirements" | tr . _ | while read -r version; do
    printf 'import ensurepip\nensurepip.bootstrap()\n' > "$place/.ansible/test/cache/get_pip_$version.py"
done

ansible-galaxy collection build --output-path "$place" . > /dev/null
ansible-galaxy collection install --no-deps --force --collections-path "$place/collections" \
    "$place"/nspa-proaudio-*.tar.gz > /dev/null 2>&1
cd "$place/collections/ansible_collections/nspa/proaudio"
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
HOME=$place PIP_QUIET=1 ansible-test sanity --local --color no --python "$python" "$@"
