#!/bin/sh
# Makes sure of a browser for the test of the page: Debian's, where it may be installed; else the test is skipped and says so.
browser=${CHROMIUM:-/usr/bin/chromium}
[ -x "$browser" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "no browser at $browser, and none can be installed here: the test of the page /usage is skipped"
  exit 0
fi
echo "installing Debian's chromium for the test of the page /usage"
once='-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o DPkg::Lock::Timeout=60'
# shellcheck disable=SC2086 # words on purpose
{ apt-get $once update -qq && DEBIAN_FRONTEND=noninteractive apt-get $once install -y -qq --no-install-recommends chromium; } > /dev/null 2>&1 \
  || echo "chromium could not be installed: the test of the page /usage is skipped"
exit 0
