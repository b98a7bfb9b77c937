#!/bin/sh
# packages.sh - the Debian packages that a make target needs: `sh tests/tools/packages.sh run|check|bench`.
# Called by `make demo`, `make check` and .ci/run. Installs what is missing, says so in one line, and is silent when
# nothing is. Debian 12 and 13; as root or with sudo. Elsewhere it says what is needed and lets the build find out.
set -eu

run="gcc make pkg-config libc6-dev libmicrohttpd-dev libjansson-dev libsqlite3-dev libarchive-dev libinih-dev curl
	dataset-fashion-mnist"
check="$run check libsubunit-dev chromium chromium-driver python3"
bench="$run python3 python3-venv"

case ${1-} in
run) wanted=$run ;;
check) wanted=$check ;;
bench) wanted=$bench ;;
*)
	echo "usage: packages.sh run|check|bench" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "This is not Debian. Needed are the equivalents of:" $wanted >&2
	exit 0
fi

# pkg-config is a virtual package of pkgconf on Debian 13: either will do.
installed() {
	case $1 in pkg-config) command -v pkg-config >/dev/null && return ;; esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
missing=
for package in $wanted; do
	installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null || {
		echo "These packages are missing; install them as root: apt-get install --no-install-recommends$missing" >&2
		exit 1
	}
fi
echo "Installing missing packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; }
if ! apt install --no-install-recommends $missing && ! { apt update && apt install --no-install-recommends $missing; }; then
	cat "$log" >&2
	echo "apt-get could not install them; see above." >&2
	exit 1
fi
