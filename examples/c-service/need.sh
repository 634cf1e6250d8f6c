#!/bin/sh
# Is libmicrohttpd there? Where this may install Debian packages, it does; else it says what is missing.
have() {
    printf '#include <microhttpd.h>\n' | "${CC:-cc}" -E -x c - > /dev/null 2>&1
}
have && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    { apt-get install --yes --quiet libmicrohttpd-dev ||
        { apt-get update --quiet && apt-get install --yes --quiet libmicrohttpd-dev; }; } \
        > /dev/null 2>&1
    have && exit 0
fi
echo 'the service needs libmicrohttpd (Debian: apt-get install libmicrohttpd-dev)' >&2
exit 1
