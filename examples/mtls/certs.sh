#!/usr/bin/env bash
# Makes certificates for trials; use them for nothing else.
#
#   certs.sh DIR           make a CA and all certificates in DIR, unless they are there and good for a day more
#   certs.sh rotate DIR    replace the gateway's server certificate by a new one
#
# The openssl commands are those that people copy from tutorials: they make
# certificates without a Subject Alternative Name, whose Common Name is all
# they have. Hence allow_common_name in config.yaml.
set -euo pipefail
umask 077

say() { echo "certs.sh: $*" >&2; }

# issue NAME COMMON-NAME : NAME.key and NAME.crt, signed by ca.crt.
issue() {
	openssl genrsa -out "$1.key" 2048
	openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$2"
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 365
}

make_all() {
	openssl req -x509 -newkey rsa:4096 -keyout ca.key -out ca.crt -days 365 -nodes -subj "/CN=Test CA"
	issue server localhost               # the gateway's listener
	issue upstream localhost             # both sample servers
	issue client Client                  # the gateway's identity towards the first of them
	issue http-client "HTTP Client"      # and towards the second
	openssl rand -base64 48 | tr -d '\n' >jwt.key
}

all=(ca.crt ca.key {server,upstream,client,http-client}.{crt,key} jwt.key)

# complete : everything is there, fits together, and is good for a day more.
complete() {
	local file name
	for file in "${all[@]}"; do [[ -s $file ]] || return 1; done
	for name in server upstream client http-client; do
		openssl x509 -in $name.crt -noout -checkend 86400 &&
			openssl verify -CAfile ca.crt $name.crt &&
			cmp <(openssl x509 -in $name.crt -noout -pubkey) <(openssl pkey -in $name.key -pubout) ||
			return 1
	done &>/dev/null
}

quietly() {
	local log
	log=$(mktemp)
	"$@" 2>"$log" >&2 || { cat "$log" >&2; rm -f "$log"; exit 1; }
	rm -f "$log"
}

case ${1-} in
rotate)
	cd "${2:?usage: certs.sh rotate DIR}"
	quietly issue server-new localhost
	# In two steps, as people do. In between, the pair does not match; the gateway waits for the second.
	cp server-new.crt server.crt
	cp server-new.key server.key
	say "server.crt is new, $(openssl x509 -in server.crt -noout -serial)"
	;;
"" | -*)
	echo "usage: certs.sh DIR | certs.sh rotate DIR" >&2
	exit 2
	;;
*)
	mkdir -p "$1"
	cd "$1"
	complete && exit 0
	say "making a CA and certificates in $1"
	quietly make_all
	;;
esac
