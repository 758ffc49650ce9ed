package house_test

import (
	"go/ast"
	gotoken "go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// hostsElsewhere are the files outside of internal/hostname that look at the
// wildcard of a name, or at localhost, and why they may.
var hostsElsewhere = map[string]string{
	"tls/names.go":            "the wildcard of a certificate is one label (RFC 9525 section 6.3)",
	"tls/policy.go":           "finds patterns that internal/hostname has parsed by the labels of a server name",
	"tls/hostnames.go":        "refuses wildcards, which neither TLS-ALPN-01 nor HTTP-01 can prove",
	"listeners/address.go":    "an address to listen on; names below localhost are resolved by DNS, and may be anywhere",
	"proxy/admin/config.go":   "the same, for the admin address",
	"cmd/mcpgateway/stdio.go": "an address to connect to; the same",
	"bench":                   "no part of the gateway",
}

// Two places that read one host in two ways let a request pass the one under a
// name that the other never saw.
func TestHostsAreMatchedInHostnameOnly(t *testing.T) {
	used := map[string]bool{}
	goFiles(t, func(dir, path string, f *ast.File) {
		if dir == "internal/hostname" || isKit(dir) || strings.HasSuffix(path, "_test.go") {
			return
		}
		file := dir + "/" + filepath.Base(path)
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != gotoken.STRING {
				return true
			}
			if text, _ := strconv.Unquote(lit.Value); text != "*." && text != "localhost" && text != ".localhost" {
				return true
			}
			for place := range hostsElsewhere {
				if file == place || strings.HasPrefix(file, place+"/") {
					used[place] = true
					return true
				}
			}
			t.Errorf("%s has the literal %s; hosts are matched by internal/hostname", file, lit.Value)
			return true
		})
	})
	for place := range hostsElsewhere {
		if !used[place] {
			t.Logf("%s needs no exception: take it out of the list", place)
		}
	}
}
