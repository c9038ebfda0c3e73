#!/bin/sh
# No path of one machine, no address of a package registry.
# bad: README.md: see /root/x
# bad: package-lock.json: "resolved": "https://registry.npmjs.org/vega"
# bad: tests/a.py: open('/home/me/data')
# good: README.md: runs/2 and ./build/release, framework/
. "$(dirname "$0")/lib.sh"
files '*' | xargs -r grep -nIE \
    '(^|[^A-Za-z0-9_.])/(work|root|home/[a-z]+)(/|\b)|registry\.npmjs|npmjs\.org|pypi\.org|pythonhosted\.org|proxy\.golang|deb\.debian\.org|crates\.io' \
    /dev/null | offences "a machine's path or a registry's address"
