#!/bin/sh
# demo.sh - a CNN on the full Fashion-MNIST, by curl alone: `sh tests/demo/demo.sh BUILD_DIR`, from `make demo`.
# Starts the built daemon with a fresh state directory below BUILD_DIR, uploads, trains, follows the event stream,
# predicts. On a terminal it leaves the daemon to you until Ctrl-C; else it stops it. DEMO_EPOCHS=n: so many epochs.
set -eu
B=$1
here=$(dirname "$0")
images=/usr/share/datasets/fashion-mnist
began=${DEMO_BEGAN:-$(date +%s)}
daemon=
stream=

stop() {
	trap - EXIT INT TERM HUP
	[ -z "$stream" ] || rm -f "$stream"
	if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then
		wait "$daemon" 2>/dev/null || true
	fi
}
fail() {
	echo "demo: $*" >&2
	if [ -f "$B/demo/log" ]; then tail -5 "$B/demo/log" >&2; fi
	exit 1
}
trap stop EXIT
trap 'exit 130' INT TERM HUP
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
# first NAME: the first value called so in the JSON on stdin
first() { grep -o "\"$1\": *[^,}]*" | head -1 | sed 's/^[^:]*: *//; s/^"//; s/"$//'; }

# ---- the daemon: a port and a state directory of its own ----
for v in $(env | sed -n 's/^\(BACKPROPD_[A-Z_]*\)=.*/\1/p'); do unset "$v"; done
mkdir -p "$B/demo"
state=$B/demo/state
if [ -e "$state/lock" ] && ! flock -n "$state/lock" true; then
	state=$(mktemp -d "$B/demo/state-XXXXXX")
else
	rm -rf "$state"
fi
port=8700
code=0
curl -s -m 2 -o /dev/null http://127.0.0.1:8700/ || code=$?
[ "$code" -eq 7 ] || { # 7: refused, so it is free
	echo "Port 8700 is taken; another is used."
	port=0
}
rm -f "$B/demo/port"
"$B/backpropd" --config /dev/null --auth none --state-dir "$state" --port "$port" --port-file "$B/demo/port" 2>"$B/demo/log" &
daemon=$!
until [ -s "$B/demo/port" ]; do
	kill -0 "$daemon" 2>/dev/null || { daemon=; fail "the daemon did not start:"; }
	sleep 0.05
done
url=http://127.0.0.1:$(cat "$B/demo/port")
# req METHOD PATH [curl's arguments]: the answer, or the server's own words and the end
req() {
	method=$1 path=$2
	shift 2
	answer=$(curl -sS --fail-with-body -X "$method" "$@" "$url$path") || fail "$method $path: $answer"
	printf '%s\n' "$answer"
}
say "backpropd runs at $url (state in $state)"

# ---- data: four gzipped IDX files and the names of the classes ----
say "Uploading Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28 x 28, ten classes"
for f in train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz; do
	echo "  curl -T $images/$f $url/v1/datasets/fashion-mnist/files/$f"
	req PUT "/v1/datasets/fashion-mnist/files/$f" -T "$images/$f" >/dev/null
done
req PUT /v1/datasets/fashion-mnist/files/classes.txt -T "$here/classes.txt" >/dev/null
echo "  curl -X POST $url/v1/datasets/fashion-mnist/commit"
req POST /v1/datasets/fashion-mnist/commit >/dev/null

# ---- model and job ----
say "Storing the model and queueing the job"
echo "  curl --json @$here/model.json $url/v1/models"
answer=$(req POST /v1/models -H 'Content-Type: application/json' --data-binary "@$here/model.json")
model=$(printf '%s' "$answer" | first id)
echo "  $model: $(printf '%s' "$answer" | grep -o '"parameters": *[0-9]*' | sed 's/.*: *//' | sort -n | tail -1) parameters"
body=$(sed "s/MODEL_ID/$model/" "$here/job.json")
[ -z "${DEMO_EPOCHS-}" ] || body=$(printf '%s' "$body" | sed "s/\"epochs\": *[0-9]*/\"epochs\": $DEMO_EPOCHS/")
job=$(req POST /v1/jobs -H 'Content-Type: application/json' --data-binary "$body" | first id)
echo "  $job"

# ---- each epoch as it arrives; between them, on a terminal, how far it is ----
say "Following  curl -N -H 'Accept: text/event-stream' $url/v1/jobs/$job/events"
echo "  epoch     loss  val_loss  val_acc  grad norm   samples/s     ETA"
# show KIND: one event's JSON on stdin as a line of the table
show() {
	awk -v kind="$1" '
	function num(k) {
		if (!match($0, "\"" k "\":[^,}]*")) return "-"
		return substr($0, RSTART + length(k) + 3, RLENGTH - length(k) - 3)
	}
	function dec(k, digits) { return num(k) ~ /^-?[0-9]/ ? sprintf("%." digits "f", num(k)) : "-" }
	function eta() { s = int(num("eta_seconds") + 0.5); return sprintf("%d:%02d", s / 60, s % 60) }
	kind == "epoch" {
		printf "  %5d  %7s  %8s  %7s  %9s  %10s  %6s\n", num("epoch"), dec("loss", 4), dec("val_loss", 4),
			dec("val_accuracy", 4), dec("grad_norm", 3), dec("samples_per_second", 0), eta()
	}
	kind == "progress" {
		printf "\r  %5d  %7s  batch %d of %d, %s samples/s, ETA %s \033[K\r", num("epoch"), dec("loss", 4),
			num("batch"), num("batches"), dec("samples_per_second", 0), eta()
	}'
}
stream=$(mktemp -u "$B/demo/stream.XXXXXX")
mkfifo "$stream"
curl -sSN --fail-with-body -H 'Accept: text/event-stream' "$url/v1/jobs/$job/events" >"$stream" &
type=
while IFS= read -r line; do
	case $line in
	"event: "*) type=${line#event: } ;;
	"data: "*)
		case $type in
		epoch)
			[ ! -t 1 ] || printf '\033[K'
			printf '%s\n' "${line#data: }" | show epoch
			;;
		progress) [ ! -t 1 ] || printf '%s\n' "${line#data: }" | show progress ;;
		esac
		;;
	esac
done <"$stream"
[ ! -t 1 ] || printf '\033[K'

# ---- what came out ----
end=$(req GET "/v1/jobs/$job")
status=$(printf '%s' "$end" | first status)
[ "$status" = succeeded ] || fail "the job ended as $status: $(printf '%s' "$end" | first status_detail)"
accuracy=$(printf '%s' "$end" | first test_accuracy)
say "Test accuracy on 10,000 pictures it has never seen: $(awk -v a="$accuracy" 'BEGIN { printf "%.2f %%", a * 100 }')"
echo "A few of them, by  curl --json '{\"dataset\":\"fashion-mnist\",\"first\":0,\"count\":6}' $url/v1/jobs/$job/predict"
req POST "/v1/jobs/$job/predict" -H 'Content-Type: application/json' \
	--data-binary '{"dataset": "fashion-mnist", "split": "test", "first": 0, "count": 6}' | tr '{' '\n' | awk '
	function text(k) {
		if (!match($0, "\"" k "\":\"[^\"]*")) return "?"
		return substr($0, RSTART + length(k) + 4, RLENGTH - length(k) - 4)
	}
	/"class":/ {
		match($0, /"probabilities":\[[^]]*/)
		n = split(substr($0, RSTART + 17, RLENGTH - 17), p, ",")
		best = 0
		for (i = 1; i <= n; i++) if (p[i] + 0 > best) best = p[i] + 0
		printf "  picture %d: %-12s %5.1f %%   %s\n", picture++, text("label"), best * 100,
			text("label") == text("true_label") ? "right" : "wrong, it is: " text("true_label")
	}'
took=$(($(date +%s) - began))
say "Done in $((took / 60)) min $((took % 60)) s. The dashboard: $url/"
if [ -z "${DEMO_EPOCHS-}" ]; then
	awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.9) }' || fail "the accuracy is below 90 %"
fi
if [ -t 0 ] && [ -t 1 ]; then
	echo "backpropd goes on running here. Ctrl-C, or  kill $daemon  in another shell, stops it."
	wait "$daemon" || true
	daemon=
fi
