#!/usr/bin/env bash
# inspector.sh NODE INSPECTOR URL : what people do with the Inspector's command
# line, each in a session of its own.
set -uo pipefail
node=$1 inspector=$2 url=$3
outcome=
step() {
	local name=$1 came=ok
	shift
	out=$("$node" "$inspector" --cli "$url" --transport http "$@" 2>&1) || came=$(tr -d "\"\\\\" <<<"${out: -200}" | tr '\n' ' ')
	outcome+=${outcome:+,}"\"$name\":\"$came\""
}
step "list tools" --method tools/list
step "list resources" --method resources/list
step "list prompts" --method prompts/list
step "call" --method tools/call --tool-name test_simple_text
step "call echo" --method tools/call --tool-name echo --tool-arg message=hello
echo "{$outcome}"
