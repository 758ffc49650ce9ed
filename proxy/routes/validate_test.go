package routes

import (
	"errors"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestMistakesAreNamed(t *testing.T) {
	for route, want := range map[string]string{
		"{match: {path: /}}":                                                                                                 "routes[0]: no action; give one of mcp, cluster, health, redirect, respond",
		"{match: {path: /}, health: live, respond: {}}":                                                                      "routes[0].respond: a second action beside health; a route has exactly one",
		"{match: {path: /}, health: live, timeout: 1s}":                                                                      "routes[0].timeout: does not apply to health; it belongs to routes with a cluster",
		"{match: {path: /}, mcp: {clusters: [a]}, retry: {attempts: 2}}":                                                     "routes[0].retry: does not apply to mcp; it belongs to routes with a cluster",
		"{match: {path_prefix: /}, mcp: {clusters: [a]}}":                                                                    "routes[0].match: an mcp route needs an exact path: one MCP endpoint is one URL",
		"{match: {}, health: live}":                                                                                          "routes[0].match: asks for nothing; path_prefix: / matches every request",
		"{match: {path: /, path_prefix: /}, health: live}":                                                                   "routes[0].match.path_prefix: stands beside path; give one of them",
		"{match: {path: x}, health: live}":                                                                                   `routes[0].match.path: "x" must begin with a slash`,
		"{match: {path: /a/../b}, health: live}":                                                                             `routes[0].match.path: "/a/../b" can never match: control characters, backslashes, empty and dot segments are refused before matching`,
		"{match: {path: /a%20b}, health: live}":                                                                              `routes[0].match.path: "/a%20b" is percent-encoded; write the characters themselves`,
		"{match: {path: '/a?b'}, health: live}":                                                                              `routes[0].match.path: "/a?b" is more than a path`,
		"{match: {hosts: ['*.*.x']}, health: live}":                                                                          `routes[0].match.hosts[0]: "*.*.x" has a wildcard that is not its whole first label, as in *.example.com`,
		"{match: {hosts: ['*']}, health: live}":                                                                              `routes[0].match.hosts[0]: "*" is every host, as are empty hosts`,
		"{match: {hosts: ['x:80']}, health: live}":                                                                           `routes[0].match.hosts[0]: "x:80" has a port; ports are not matched`,
		"{match: {hosts: ['https://x']}, health: live}":                                                                      `routes[0].match.hosts[0]: "https://x" is more than a host name`,
		"{match: {hosts: ['a b']}, health: live}":                                                                            `routes[0].match.hosts[0]: "a b" is not a host name`,
		"{match: {path: /, methods: [get]}, health: live}":                                                                   `routes[0].match.methods[0]: methods are case-sensitive; did you mean "GET"?`,
		"{match: {path: /, methods: [TRACE]}, health: live}":                                                                 "routes[0].match.methods[0]: TRACE is never served",
		"{match: {path: /, headers: [{name: a}]}, health: live}":                                                             "routes[0].match.headers[0]: needs exactly one of exact, prefix, regex, present",
		"{match: {path: /, headers: [{name: a, exact: ''}]}, health: live}":                                                  "routes[0].match.headers[0].exact: is empty; present: true asks for any value",
		"{match: {path: /, headers: [{name: a, regex: '('}]}, health: live}":                                                 "routes[0].match.headers[0].regex: error parsing regexp: missing closing ): `(`",
		"{match: {path: /, headers: [{name: host, exact: a}]}, health: live}":                                                "routes[0].match.headers[0].name: Host is matched by match.hosts",
		"{match: {path: /}, redirect: {}}":                                                                                   "routes[0].redirect: sends the client to where it came from; give scheme, host or path",
		"{match: {path: /}, redirect: {path: //evil}}":                                                                       `routes[0].redirect.path: "//evil" must begin with one slash, and be percent-encoded`,
		"{match: {path: /}, redirect: {scheme: https, status: 200}}":                                                         "routes[0].redirect.status: 200 is no redirect; 301, 302, 303, 307 and 308 are",
		"{match: {path: /}, respond: {status: 204, body: x}}":                                                                "routes[0].respond.body: an answer 204 has no body",
		"{match: {path: /}, cluster: a, retry: {retry_on: ['404']}}":                                                         `routes[0].retry.retry_on[0]: "404" is none of connect_failure, reset and the status codes 500 to 599`,
		"{match: {path: /}, cluster: a, rewrite: {host: 'a b'}}":                                                             `routes[0].rewrite.host: "a b" is not a host`,
		"{match: {methods: [GET]}, cluster: a, rewrite: {path_prefix: /x}}":                                                  "routes[0].rewrite.path_prefix: replaces match.path or match.path_prefix, and neither is given",
		"{match: {path: /}, cluster: a, request_headers: {set: {Host: x}}}":                                                  "routes[0].request_headers.set.Host: Host is changed by rewrite.host",
		"{match: {path: /}, cluster: a, request_headers: {remove: [connection]}}":                                            "routes[0].request_headers.remove[0]: Connection belongs to the connection and cannot be edited",
		"{match: {path: /}, cluster: a, response_headers: {add: {X-A: \"a\\nb\"}}}":                                          `routes[0].response_headers.add.X-A: "a\nb" is not a header value`,
		"{match: {path: /}, cluster: a, auth: {}}":                                                                           "routes[0].auth: asks for nothing; give jwt or client_cert, or leave auth away to open the route",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a]}}}":                                                      "routes[0].auth.jwt: no key to verify tokens with; give hmac_secret_files, public_key_files or jwks",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], algorithms: [RS256], hmac_secret_files: [SECRET]}}}":    "routes[0].auth.jwt.algorithms[0]: no key is for RS256",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], algorithms: [HS512], hmac_secret_files: [SECRET]}}}":    "routes[0].auth.jwt.algorithms[0]: no key is for HS512, whose secret must have at least 64 bytes",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], hmac_secret_files: [SHORT]}}}":                          "routes[0].auth.jwt.hmac_secret_files[0]: the secret has 5 bytes; at least 32 are needed",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], public_key_files: [SECRET]}}}":                          "routes[0].auth.jwt.public_key_files[0]: no PEM block; PUBLIC KEY or CERTIFICATE is needed",
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], jwks: {url: 'ftp://x'}}}}":                              `routes[0].auth.jwt.jwks.url: "ftp://x" is not a URL of scheme https`,
		"{match: {path: /}, cluster: a, auth: {jwt: {audiences: [a], hmac_secret_files: [SECRET], jwks: {ca_cert: SHORT}}}}": "routes[0].auth.jwt.jwks.ca_cert: is trust for url, which is not given",
		"{match: {path: /}, cluster: a, auth: {client_cert: {allowed_names: ['']}}}":                                         "routes[0].auth.client_cert.allowed_names[0]: a name is empty",
	} {
		dir := t.TempDir()
		yaml := "routes:\n- " + strings.NewReplacer("SECRET", writeFile(t, dir, "secret", strings.Repeat("s", 32)), "SHORT", writeFile(t, dir, "short", "short")).Replace(route) + "\n"
		_, err := load(t, yaml)
		var all config.Errors
		if !errors.As(err, &all) {
			t.Errorf("%s: error %v, want %q", route, err, want)
			continue
		}
		if len(all) != 1 || !strings.HasSuffix(all[0].Error(), ": "+want) || all[0].Line != 2 {
			t.Errorf("%s:\n got %v\nwant %s", route, err, want)
		}
	}
}

func TestARouteWithoutNameIsNamedByItsPath(t *testing.T) {
	s, err := load(t, "routes:\n- {match: {path: /a}, health: live}\n- {match: {path_prefix: /b}, health: live}\n- {match: {hosts: [x]}, health: live}\n- {name: own, match: {path: /c}, health: live}\n")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"/a", "/b", "x", "own"} {
		if s.Routes[i].Name != want {
			t.Errorf("route %d is named %q, want %q", i, s.Routes[i].Name, want)
		}
	}
}
