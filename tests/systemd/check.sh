#!/bin/sh
# check.sh - the units and settings as `make install` puts them: `sh tests/systemd/check.sh BUILD_DIR`, by `make check`.
set -eu
B=$1
root=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true; rm -rf "$root"' EXIT
passed=0 skipped=
ok() { passed=$((passed + 1)); }
fail() {
	echo "systemd: $*" >&2
	exit 1
}

# ---- every file is where it should be, and names the others where they are ----
make --no-print-directory -s B="$B" DESTDIR="$root/dest" PREFIX=/opt/bp SYSCONFDIR=/opt/bp/etc install >/dev/null
for f in bin/backpropd etc/backpropd.conf lib/systemd/system/backpropd.service lib/systemd/system/backpropd.socket \
	lib/sysusers.d/backpropd.conf; do
	[ -f "$root/dest/opt/bp/$f" ] || fail "make install did not install $f"
done
! grep -r '@[A-Z]*@' "$root/dest/opt/bp/lib" || fail "a placeholder was left in a unit"
ok

# ---- the example has every setting with its default, and the daemon takes it ----
conf=$root/dest/opt/bp/etc/backpropd.conf
sed -nE 's/^SETTING_(INT|STR)\(([a-z_]+), "?([^",]*)"?,.*/#\2 = \3/p' server/base/settings.def | sed 's/ $//' |
	while read -r line; do
		grep -qxF "$line" "$conf" || fail "backpropd.conf lacks the line \"$line\""
	done
[ "$(grep -c '^#[a-z_]* =' "$conf")" -eq "$(grep -c '^SETTING_' server/base/settings.def)" ] ||
	fail "backpropd.conf has a setting that does not exist, or one twice"
sed 's/^#\([a-z_]* =\)/\1/' "$conf" >"$root/all.conf"
# A flag that is always wrong makes the daemon stop after it has read everything; nothing else may be wrong.
"$root/dest/opt/bp/bin/backpropd" --config "$root/all.conf" --port=none >/dev/null 2>"$root/err" && fail "bad flag taken"
[ "$(wc -l <"$root/err")" -eq 1 ] || fail "backpropd.conf is not accepted: $(cat "$root/err")"
ok

if ! command -v systemd-analyze >/dev/null; then
	echo "systemd: $passed checks passed; no systemd-analyze here, so the units themselves were not looked at"
	exit 0
fi

# ---- verify: it exits 0 on unknown keys, so silence is what counts ----
for u in service socket; do
	sed "s|/opt/bp/|$root/dest/opt/bp/|g" "$root/dest/opt/bp/lib/systemd/system/backpropd.$u" >"$root/backpropd.$u"
done
systemd-analyze verify --man=no "$root/backpropd.service" "$root/backpropd.socket" >"$root/out" 2>&1 || true
# A user that is not there yet and files of the machine itself are not ours.
grep "backpropd" "$root/out" && fail "systemd-analyze verify is not silent"
ok

# ---- hardening: the exposure that systemd-analyze computes, out of 10 ----
limit=1.2
exposure=$(systemd-analyze security --offline=true --no-pager "$root/backpropd.service" |
	sed -nE 's/.*Overall exposure level.*: ([0-9.]+) .*/\1/p')
[ -n "$exposure" ] || fail "systemd-analyze security gave no figure"
awk -v e="$exposure" -v l="$limit" 'BEGIN { exit !(e <= l) }' || fail "exposure is $exposure, more than $limit"
ok

# ---- socket activation: the daemon serves the socket it is handed ----
if command -v systemd-socket-activate >/dev/null; then
	systemd-socket-activate -l "$root/http.sock" -E OMP_WAIT_POLICY=passive "$B/backpropd" --state-dir "$root/state" \
		2>"$root/log" &
	daemon=$!
	tries=0
	until [ -S "$root/http.sock" ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || fail "systemd-socket-activate does not listen"
		sleep 0.1
	done
	curl -fsS -m 20 --unix-socket "$root/http.sock" http://localhost/healthz >/dev/null ||
		fail "no answer through a passed socket: $(cat "$root/log")"
	kill "$daemon"
	wait "$daemon" || fail "SIGTERM did not end it cleanly: $(cat "$root/log")"
	daemon=
	ok
fi
echo "systemd: $passed checks passed, exposure $exposure of 10"
