#!/bin/sh
# lint.sh - the house rules of ARCHITECTURE.md, made executable. Run by `make lint` from the top of the tree.
# Prints every breach as file:line: rule, and fails when there is one.
set -u
CC=${CC:-gcc}
LIB=${LIB:-build/libbackprop.a}
breaches=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$breaches" "$work"' EXIT
say() { printf '%s\n' "$*" >>"$breaches"; }

sources() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

# ---- a file has at most 500 lines, a line at most 120 columns ----
for f in $(sources '*.c' '*.h' '*.S' '*.def' '*.js' '*.css' '*.py' '*.sh' | grep -v '/vendor/'); do
	n=$(wc -l <"$f")
	[ "$n" -le 500 ] || say "$f:$n: more than 500 lines"
done
for f in $(sources '*.c' '*.h'); do
	expand -t8 "$f" | awk -v f="$f" 'length($0) > 120 { print f ":" NR ": longer than 120 columns" }' >>"$breaches"
	head -1 "$f" | grep -q '^/\*' || say "$f:1: does not open with what it is for"
done

# ---- vectors go in and out of inline functions alone (VEC_INLINE in core/kernels/vec.h says why) ----
grep -nE '^static .*[(, ](vec|vint) [a-z]' $(sources 'core/kernels/*.[ch]') | while IFS=: read -r f no _; do
	say "$f:$no: a function with vectors is VEC_INLINE"
done

# ---- who may include whom: room, then the rooms it may reach ----
allow() {
	case $1 in
	server/base) echo base ;;
	server/hub) echo base hub ;;
	server/share) echo base share ;;
	server/db) echo base db ;;
	server/keep) echo base hub store keep ;;
	server/store) echo base db share store ;;
	server/spec) echo base spec core ;;
	server/ingest) echo base ingest core ;;
	server/infer) echo base spec ingest infer core ;;
	server/http) echo base hub http ;;
	server/cli) echo base cli ;;
	server/api) echo base hub share store spec ingest infer http api ;;
	server/work) echo base hub share store spec ingest infer work core ;;
	server) echo base hub share db store spec ingest infer http api keep work cli ;;
	core/base) echo base ;;
	core/kernels) echo base kernels ;;
	core/conv) echo base kernels conv ;;
	core/inits) echo base net inits ;;
	core/losses | core/optims) echo base kernels losses optims ;;
	core/schedules) echo base schedules ;;
	core/augments) echo base augments ;;
	core/layers) echo base kernels conv net layers ;;
	core/net) echo base kernels conv layers net inits losses optims schedules ;;
	core/train) echo base kernels net losses optims schedules augments train ;;
	core/include | core/examples) echo ;;
	*) echo "?" ;;
	esac
}
for f in $(sources 'server/*.c' 'server/*.h' 'core/*.c' 'core/*.h'); do
	room=$(dirname "$f")
	allowed=$(allow "$room")
	[ "$allowed" != "?" ] || { say "$f:1: lies in no room of the house (tests/tools/lint.sh, allow)"; continue; }
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' "$f" | while IFS= read -r line; do
		no=${line%%:*}
		inc=$(printf '%s\n' "$line" | sed -E 's/.*[<"]([^">]*)[">].*/\1/')
		case $f:$inc in
		core/*:microhttpd.h | core/*:jansson.h | core/*:sqlite3.h | core/*:archive*.h)
			say "$f:$no: the core knows no <$inc>" ;;
		server/api/*:backprop.h | server/http/*:backprop.h | server/store/*:backprop.h)
			say "$f:$no: this room does not know the core" ;;
		server/*:sqlite3.h) case $room in server/db) ;; *) say "$f:$no: only db/ knows SQLite" ;; esac ;;
		server/*:microhttpd.h) case $room in server/http) ;; *) say "$f:$no: only http/ knows libmicrohttpd" ;; esac ;;
		*:backprop.h) ;;
		*/*)
			target=${inc%%/*}
			[ -d "server/$target" ] || [ -d "core/$target" ] || continue
			case " $allowed " in
			*" $target "*) ;;
			*) say "$f:$no: $room may not include $target/" ;;
			esac ;;
		esac
	done
done

# ---- no cycle among headers ----
for f in $(sources 'server/*.h' 'core/*.h'); do
	root=${f%%/*}
	grep -hoE '^#[[:space:]]*include "[^"]*\.h"' "$f" | sed -E 's/.*"(.*)"/\1/' | while read -r inc; do
		if [ -f "$root/$inc" ]; then echo "$f $root/$inc"; elif [ -f "$(dirname "$f")/$inc" ]; then echo "$f $(dirname "$f")/$inc"; fi
	done
done >"$work/edges"
tsort "$work/edges" >/dev/null 2>"$work/cycle" || true
[ ! -s "$work/cycle" ] || say "include cycle: $(grep -v 'input contains a loop' "$work/cycle" | sed 's/^tsort: //' | tr '\n' ' ')"

# ---- every header compiles alone ----
flags=$(pkg-config --cflags libmicrohttpd jansson sqlite3 libarchive inih 2>/dev/null)
for f in $(sources 'server/*.h' 'core/*.h' 'tests/*.h'); do
	isa=
	case $f in core/kernels/*) isa=-DBP_ISA=baseline ;; esac
	# shellcheck disable=SC2086
	$CC -std=gnu11 -D_GNU_SOURCE -fsyntax-only -Icore/include -Icore -Iserver -Itests $flags $isa -x c "$f" 2>"$work/err" ||
		say "$f:1: does not compile alone: $(grep -m1 error "$work/err")"
done

# ---- calls that have no place here ----
banned='strcpy|strcat|sprintf|vsprintf|gets|strtok|strncpy|alloca|setlocale|system|popen|fork|vfork|rand|srand|random|drand48|atoi|atol|atof|mktemp|tmpnam|usleep|sleep'
for f in $(sources 'server/*.c' 'core/*.c' 'server/*.h' 'core/*.h'); do
	sed -E 's@//.*@@; s@"([^"\\]|\\.)*"@""@g' "$f" | awk -v f="$f" -v re="(^|[^A-Za-z0-9_>.])($banned)[[:space:]]*\\\\(" '
		{ if (c) { if (sub(/.*\*\//, "")) c = 0; else next } gsub(/\/\*([^*]|\*[^\/])*\*\//, "") ; if (sub(/\/\*.*/, "")) c = 1 }
		$0 ~ re { print f ":" NR ": a call that is banned here: " $0 }' >>"$breaches"
done
for f in $(sources 'server/*.c' | grep -v '^server/base/jsonmem.c'); do
	grep -nE '(^|[^A-Za-z0-9_])json_dumps[[:space:]]*\(' "$f" | sed "s|^|$f:|; s|\$| (jsonmem_dumps notices when a part is missing)|" >>"$breaches"
done
for f in $(sources 'core/*.c' 'core/*.h' | grep -v '^core/examples/'); do
	grep -nE '(^|[^A-Za-z0-9_])(printf|fprintf|perror|puts|exit|abort|assert)[[:space:]]*\(' "$f" | sed "s|^|$f:|; s|\$| (the core neither prints nor ends the process)|" >>"$breaches"
done
for f in $(sources 'tests/*.c'); do
	grep -nE '(^|[^A-Za-z0-9_])(sleep|usleep|nanosleep)[[:space:]]*\(' "$f" | sed "s|^|$f:|; s|\$| (a test waits for an event)|" >>"$breaches"
done
grep -rnE '\b(TODO|FIXME|XXX)\b' $(sources 'server/*' 'core/*' 'tests/*' 'systemd/*' Makefile | grep -v -e /vendor/ -e tests/tools/lint.sh) >>"$breaches"

# ---- the library exports names with bp_ alone ----
if [ -f "$LIB" ]; then
	nm --defined-only --extern-only "$LIB" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(bp_|__asan|__odr_asan|__gcov)/ { print "libbackprop exports " $3 " without bp_" }' | sort -u >>"$breaches"
else
	say "$LIB is not built: make first"
fi

if [ -s "$breaches" ]; then
	cat "$breaches"
	echo "lint: $(wc -l <"$breaches") breaches of the house rules"
	exit 1
fi
echo "lint: the house is in order"
