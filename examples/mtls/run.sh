#!/usr/bin/env bash
# Runs the example until Ctrl-C: two sample MCP servers and the gateway before
# them. `make run` builds the programs first.
#
# From the environment: BIN and RUN (folders of the programs and of what is
# generated), GATEWAY_PORT, ADMIN_PORT, SSE_PORT, HTTP_PORT.
set -euo pipefail
cd "$(dirname "$0")/../.."

export BIN=${BIN:-bin} RUN=${RUN:-.run}
export GATEWAY_PORT=${GATEWAY_PORT:-8443} ADMIN_PORT=${ADMIN_PORT:-9901}
export SSE_PORT=${SSE_PORT:-9000} HTTP_PORT=${HTTP_PORT:-9001}
url=https://localhost:$GATEWAY_PORT

# A SIGHUP makes the gateway reload. A user who sends it to programs by name may
# send it to this script as well. It has a handler, since the children would
# inherit ''.
trap : HUP
stopping=
trap 'stopping=1' INT TERM

names=() pids=()

# start NAME COMMAND... : in a session of its own, so that Ctrl-C reaches only this
# script, which then asks each program once. (The gateway takes a second signal
# to mean that it shall not wait for its clients.) Should this script be killed,
# the programs end with it.
start() {
	setpriv --pdeathsig TERM setsid "${@:2}" </dev/null &
	names+=("$1")
	pids+=($!)
}

running() { kill -0 "$1" 2>/dev/null; }

stop_all() {
	trap '' INT TERM
	local pid deadline=$((SECONDS + 15))
	# Last started, first stopped: the gateway before what it depends on.
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || true
		while running "${pids[i]}" && ((SECONDS < deadline)); do sleep 0.1; done
	done
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
	wait 2>/dev/null || true
	rm -f "$RUN/gateway.pid"
}
trap stop_all EXIT

# check : fails if one of the programs has ended.
check() {
	for i in "${!pids[@]}"; do
		running "${pids[i]}" && continue
		echo "run.sh: ${names[i]} has ended" >&2
		[[ ! -s $RUN/${names[i]}.log ]] || tail -n 5 "$RUN/${names[i]}.log" >&2
		exit 1
	done
}

examples/mtls/certs.sh "$RUN"
# A copy, so that it can be edited while the gateway runs.
cp examples/mtls/config.yaml "$RUN/config.yaml"
(umask 077 && "$BIN/examples/jwt" -secret "$RUN/jwt.key" >"$RUN/token")

tls=(-cert "$RUN/upstream.crt" -key "$RUN/upstream.key" -ca "$RUN/ca.crt")
start sse-server "$BIN/examples/sse-server" -address "localhost:$SSE_PORT" "${tls[@]}" -record "$RUN/sse-server.jsonl" 2>"$RUN/sse-server.log"
start http-server "$BIN/examples/http-server" -address "localhost:$HTTP_PORT" "${tls[@]}" -record "$RUN/http-server.jsonl" 2>"$RUN/http-server.log"
start mcpgateway "$BIN/mcpgateway" run -c "$RUN/config.yaml"
echo "${pids[2]}" >"$RUN/gateway.pid"

deadline=$((SECONDS + 30))
until curl -sf -m 2 -o /dev/null --cacert "$RUN/ca.crt" "$url/health"; do
	[[ -z $stopping ]] || exit 130
	check
	if ((SECONDS > deadline)); then
		echo "run.sh: $url/health does not answer" >&2
		exit 1
	fi
	sleep 0.1
done
check # another program may have answered on the port

rpc="curl -sN --cacert $RUN/ca.crt $url/mcp/http -H \"Authorization: Bearer \$(cat $RUN/token)\" -H 'Content-Type: application/json'"
cat <<TEXT

mcpgateway is serving on $url  (/health, /mcp, /mcp/http). Ctrl-C ends it. Try, in another terminal, in this folder:

1. List the tools. The server behind accepts nobody but the gateway's client certificate:

   $rpc -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'

2. Watch a stream for a minute, and leave it running:

   $rpc -H 'Accept: application/json, text/event-stream' -d '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"count","arguments":{"seconds":60},"_meta":{"progressToken":"watch"}}}'

3. Meanwhile replace the gateway's certificate, and tell it. The stream goes on; new connections see the new one:

   examples/mtls/certs.sh rotate $RUN && kill -HUP \$(cat $RUN/gateway.pid)

TEXT

# SIGHUP cannot tell that the terminal has gone, since it means reload here; a look at the terminal can.
terminal=
[[ ! -t 0 ]] || terminal=1
while [[ -z $stopping ]]; do
	check
	[[ -z $terminal || -t 0 ]] || exit 0
	sleep 0.5 &
	wait $! || true
done
echo "run.sh: stopping" >&2
