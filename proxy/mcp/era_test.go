package mcp

import (
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// versionServer is the backend of a server that lists these revisions, or
// knows no server/discover if it is given none.
func versionServer(t *testing.T, name string, versions ...string) backend {
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "application/json")
		list := `["` + strings.Join(versions, `","`) + `"]`
		answer := jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "not here", nil)
		switch m.Method() {
		case "server/discover":
			if len(versions) > 0 {
				answer = jsonrpc.NewResult(m.ID(), []byte(`{"resultType":"complete","supportedVersions":`+list+`,"capabilities":{"tools":{}}}`))
			}
		case "tools/list":
			answer = jsonrpc.NewResult(m.ID(), []byte(`{"resultType":"complete","tools":[],"ttlMs":1,"cacheScope":"private"}`))
		}
		_, _ = w.Write(answer)
	}, nil)
	return backend{name: name, endpoints: []string{url}}
}

const (
	discoverBody = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`
	futureBody   = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}}}`
)

func TestARouteOffersWhatAllOfItsServersServe(t *testing.T) {
	const hasSessions = `"2025-11-25","2025-06-18","2025-03-26"`
	offering := func(versions ...string) func(*Config) { return func(c *Config) { c.Versions = versions } }
	forced := func(b backend, protocol string) backend { b.protocol = protocol; return b }
	down := backend{name: "down", endpoints: []string{"http://127.0.0.1:1/mcp"}}
	for name, test := range map[string]struct {
		tune     func(*Config)
		backends []backend
		want     string
	}{
		"a server with sessions":      {nil, []backend{versionServer(t, "a")}, hasSessions},
		"one without":                 {nil, []backend{versionServer(t, "a", spec.Modern)}, `"2026-07-28"`},
		"what we do not speak":        {nil, []backend{versionServer(t, "a", "2031-01-01", "2025-06-18", spec.Modern)}, `"2026-07-28","2025-06-18"`},
		"a list of those that had":    {nil, []backend{versionServer(t, "a", "2025-06-18", "2024-11-05")}, `"2025-06-18"`},
		"nothing in common":           {nil, []backend{versionServer(t, "a", spec.Modern), versionServer(t, "b")}, hasSessions},
		"a pinned server":             {nil, []backend{forced(versionServer(t, "a", spec.Modern, spec.NewestLegacy), "2025-06-18")}, `"2025-06-18"`},
		"one pinned without sessions": {nil, []backend{forced(versionServer(t, "a", spec.NewestLegacy), spec.Modern)}, `"2026-07-28"`},
		"an intersection":             {nil, []backend{versionServer(t, "a", spec.Modern, spec.NewestLegacy, "2025-06-18"), versionServer(t, "b", spec.Modern, "2025-06-18")}, `"2026-07-28","2025-06-18"`},
		"both eras":                   {nil, []backend{versionServer(t, "a", spec.Modern, spec.NewestLegacy), versionServer(t, "b")}, `"2025-11-25"`},
		"a server never reached":      {nil, []backend{versionServer(t, "a", spec.Modern, spec.NewestLegacy), down}, `"2025-11-25"`},
		"configured without":          {offering(spec.NewestLegacy), []backend{versionServer(t, "a", spec.Modern)}, `"2025-11-25"`},
		"configured with":             {offering(spec.NewestLegacy, spec.Modern), []backend{versionServer(t, "a")}, `"2026-07-28","2025-11-25"`},
	} {
		t.Run(name, func(t *testing.T) {
			// The refusal comes first once, the discovery the other time: either
			// is to find out.
			for _, first := range []string{"the refusal", "the discovery"} {
				g := newGateway(t, test.tune, test.backends...)
				refuse := func() {
					res, body := g.post(futureBody, spec.HeaderVersion, "2027-01-01", spec.HeaderMethod, "tools/list")
					if res.StatusCode != 400 || !strings.Contains(body, `"code":-32022`) || !strings.Contains(body, `"supported":[`+test.want+`]`) {
						t.Errorf("%s first: refused with %d %s, want %s", first, res.StatusCode, body, test.want)
					}
				}
				if first == "the refusal" {
					refuse()
				}
				res, body := g.post(discoverBody, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "server/discover")
				if strings.Contains(test.want, spec.Modern) {
					if res.StatusCode != 200 || !strings.Contains(body, `"supportedVersions":[`+test.want+`]`) {
						t.Errorf("%s first: discovered %d %s, want %s", first, res.StatusCode, body, test.want)
					}
				} else if res.StatusCode != 404 || !strings.Contains(body, `"code":-32601`) {
					t.Errorf("%s first: discovered %d %s, want -32601", first, res.StatusCode, body)
				}
				if first == "the discovery" {
					refuse()
				}
				// Who insists is served all the same.
				list := strings.Replace(discoverBody, "server/discover", "tools/list", 1)
				if res, body := g.post(list, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "tools/list"); res.StatusCode != 200 || !strings.Contains(body, `"tools":[]`) {
					t.Errorf("%s first: listed %d %s", first, res.StatusCode, body)
				}
			}
		})
	}
}

func TestWhatAServerServesIsRemembered(t *testing.T) {
	for name, test := range map[string]struct {
		server *server
		status int
	}{"with sessions": {newServer(t, "alpha"), 404}, "without": {newStateless(t, "alpha"), 200}} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, nil, test.server.backend("alpha"), newStateless(t, "beta").backend("beta"))
			discover := func() {
				if res, body := g.post(discoverBody, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, "server/discover"); res.StatusCode != test.status {
					t.Errorf("%d %s", res.StatusCode, body)
				}
			}
			discover()
			test.server.down.Store(true)
			discover()
		})
	}
}

func TestClientsOfBothErasKeepTheirStateInASession(t *testing.T) {
	process := stdio("alpha")
	process.protocol = spec.NewestLegacy // it would serve either era
	for name, b := range map[string]backend{"http": newServer(t, "alpha").backend("alpha"), "stdio": process} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, nil, b)
			c := g.dial("ann", spec.Modern, nil)
			if v := c.InitializeResult().ProtocolVersion; v != spec.NewestLegacy {
				t.Errorf("the client speaks %s", v)
			}
			other := g.dial("ann", spec.Modern, nil)
			for i := range 3 {
				for _, c := range []*sdk.ClientSession{c, other} {
					if got := invoke(t, c, "count", nil); got != string(rune('1'+i)) {
						t.Errorf("the session counts %s", got)
					}
				}
			}
			if err := c.Ping(within(t), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestResultTypeReachesNoClientOfASession(t *testing.T) {
	a, b := versionServer(t, "a", spec.Modern), versionServer(t, "b", spec.Modern)
	a.protocol, b.protocol = spec.Modern, spec.Modern // they would answer initialize
	for _, backends := range [][]backend{{a}, {a, b}} {
		g := newGateway(t, nil, backends...)
		_, body := g.post(listBody, spec.HeaderSession, g.initialize())
		if !strings.Contains(body, `"tools":[]`) || strings.Contains(body, "resultType") {
			t.Errorf("%d servers: %s", len(backends), body)
		}
	}
}
