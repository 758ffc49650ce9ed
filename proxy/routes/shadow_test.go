package routes

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp"
)

func TestARouteThatAnEarlierOneLeavesNothingIsFound(t *testing.T) {
	var webSocket, plain mcp.Config
	webSocket.WebSocket.Path = "/ws"
	present := func(name string) HeaderMatch { return HeaderMatch{Name: name, Present: true} }
	for name, c := range map[string]struct {
		before, after Config
		want          bool
	}{
		"the same path":             {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a"}}, true},
		"another path":              {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a/"}}, false},
		"the prefix of a path":      {Config{Match: Match{PathPrefix: "/a"}}, Config{Match: Match{Path: "/a/b"}}, true},
		"half a segment":            {Config{Match: Match{PathPrefix: "/a"}}, Config{Match: Match{Path: "/ab"}}, false},
		"the prefix of a prefix":    {Config{Match: Match{PathPrefix: "/a/"}}, Config{Match: Match{PathPrefix: "/a/b"}}, true},
		"the same prefix":           {Config{Match: Match{PathPrefix: "/a/"}}, Config{Match: Match{PathPrefix: "/a"}}, true},
		"a path of a prefix":        {Config{Match: Match{Path: "/a"}}, Config{Match: Match{PathPrefix: "/a"}}, false},
		"a longer prefix":           {Config{Match: Match{PathPrefix: "/a/b"}}, Config{Match: Match{PathPrefix: "/a"}}, false},
		"every path":                {Config{Match: Match{PathPrefix: "/"}}, Config{Match: Match{Hosts: []string{"a.test"}}}, true},
		"any host":                  {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a", Hosts: []string{"a.test"}}}, true},
		"one host of any":           {Config{Match: Match{Path: "/a", Hosts: []string{"a.test"}}}, Config{Match: Match{Path: "/a"}}, false},
		"one host of two":           {Config{Match: Match{Path: "/a", Hosts: []string{"a.test"}}}, Config{Match: Match{Path: "/a", Hosts: []string{"a.test", "b.test"}}}, false},
		"two hosts, other order":    {Config{Match: Match{Path: "/a", Hosts: []string{"a.test", "B.test"}}}, Config{Match: Match{Path: "/a", Hosts: []string{"b.test", "a.test"}}}, true},
		"a wildcard":                {Config{Match: Match{Path: "/a", Hosts: []string{"*.test"}}}, Config{Match: Match{Path: "/a", Hosts: []string{"*.a.test", "b.a.test"}}}, true},
		"a wildcard and its name":   {Config{Match: Match{Path: "/a", Hosts: []string{"*.a.test"}}}, Config{Match: Match{Path: "/a", Hosts: []string{"a.test"}}}, false},
		"any method":                {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a", Methods: []string{"GET"}}}, true},
		"one method of any":         {Config{Match: Match{Path: "/a", Methods: []string{"GET"}}}, Config{Match: Match{Path: "/a"}}, false},
		"more methods":              {Config{Match: Match{Path: "/a", Methods: []string{"POST", "GET"}}}, Config{Match: Match{Path: "/a", Methods: []string{"GET"}}}, true},
		"other methods":             {Config{Match: Match{Path: "/a", Methods: []string{"GET"}}}, Config{Match: Match{Path: "/a", Methods: []string{"GET", "POST"}}}, false},
		"an mcp route's methods":    {Config{Match: Match{Path: "/a", Methods: []string{"POST"}}}, Config{Match: Match{Path: "/a", Methods: []string{"POST"}}, MCP: &plain}, false},
		"an mcp route's paths":      {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a"}, MCP: &webSocket}, false},
		"a path of an mcp route":    {Config{Match: Match{Path: "/a"}, MCP: &webSocket}, Config{Match: Match{Path: "/ws"}}, true},
		"the prefix of all paths":   {Config{Match: Match{PathPrefix: "/"}}, Config{Match: Match{Path: "/a"}, MCP: &webSocket}, true},
		"the same header":           {Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "x-env", Exact: "b"}}}}, Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X-Env", Exact: "b"}, present("Y")}}}, true},
		"another value":             {Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X", Exact: "b"}}}}, Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X", Exact: "c"}}}}, false},
		"no header":                 {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X", Regex: ".*"}}}}, true},
		"a header of none":          {Config{Match: Match{Path: "/a", Headers: []HeaderMatch{present("X")}}}, Config{Match: Match{Path: "/a"}}, false},
		"a header that is there":    {Config{Match: Match{Path: "/a", Headers: []HeaderMatch{present("X")}}}, Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X", Prefix: "b"}}}}, true},
		"a header that is not":      {Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X"}}}}, Config{Match: Match{Path: "/a", Headers: []HeaderMatch{{Name: "X", Prefix: "b"}}}}, false},
		"every listener":            {Config{Match: Match{Path: "/a"}, Listeners: []string{"b", "a"}}, Config{Match: Match{Path: "/a"}, Listeners: []string{"a"}}, true},
		"another listener":          {Config{Match: Match{Path: "/a"}, Listeners: []string{"a"}}, Config{Match: Match{Path: "/a"}, Listeners: []string{"b"}}, false},
		"one listener of two":       {Config{Match: Match{Path: "/a"}, Listeners: []string{"a"}}, Config{Match: Match{Path: "/a"}, Listeners: []string{"a", "b"}}, false},
		"a host that is none":       {Config{Match: Match{Path: "/a"}}, Config{Match: Match{Path: "/a", Hosts: []string{"*"}}}, false},
		"everything at once":        {Config{Match: Match{PathPrefix: "/", Hosts: []string{"*.test"}, Methods: []string{"GET"}, Headers: []HeaderMatch{present("X")}}}, Config{Match: Match{Path: "/a/b", Hosts: []string{"a.b.test"}, Methods: []string{"GET"}, Headers: []HeaderMatch{{Name: "X", Exact: "1"}}}}, true},
		"everything but the method": {Config{Match: Match{PathPrefix: "/", Hosts: []string{"*.test"}, Methods: []string{"GET"}}}, Config{Match: Match{Path: "/a/b", Hosts: []string{"a.b.test"}, Methods: []string{"PUT"}}}, false},
	} {
		var want []Shadow
		if c.want {
			want = []Shadow{{Route: 1, By: 0}}
		}
		if got := Shadowed([]Config{c.before, c.after}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestNoRequestFindsARouteThatIsSaidToGetNone compares what is said of random tables
// with the routes that requests find.
func TestNoRequestFindsARouteThatIsSaidToGetNone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	paths := []string{"/", "/a", "/a/b", "/ab", "/b", "/a/", "/a/b/"}
	hosts := []string{"x.example", "a.x.example", "b.a.x.example", "example", "10.0.0.1"}
	patterns := []string{"x.example", "*.x.example", "*.example", "*.a.x.example", "10.0.0.1"}
	said := 0
	for range 300 {
		var configs []Config
		var list []*route
		for i := range random.IntN(20) {
			c := Config{Name: fmt.Sprint(i)}
			if random.IntN(2) == 0 {
				c.Match.Path = pick(paths)
			} else {
				c.Match.PathPrefix = pick(paths)
			}
			for range max(0, random.IntN(4)-1) {
				c.Match.Hosts = append(c.Match.Hosts, pick(patterns))
			}
			for range max(0, random.IntN(4)-1) {
				c.Match.Methods = append(c.Match.Methods, pick([]string{"GET", "POST"}))
			}
			for range max(0, random.IntN(4)-1) {
				c.Match.Headers = append(c.Match.Headers, HeaderMatch{Name: pick([]string{"X", "Y"}), Exact: pick([]string{"", "", "1", "2"}), Present: random.IntN(2) == 0})
			}
			rt, err := compile(&c)
			if err != nil {
				t.Fatal(err)
			}
			configs, list = append(configs, c), append(list, rt)
		}
		shadowed := map[*route]Shadow{}
		for _, s := range Shadowed(configs) {
			shadowed[list[s.Route]] = s
			said++
		}
		table := newTable(list, "")
		for range 100 {
			r := httptest.NewRequest(pick([]string{"GET", "POST"}), pick(paths), nil)
			for range random.IntN(3) {
				r.Header.Add(pick([]string{"X", "Y"}), pick([]string{"1", "2"}))
			}
			if s, ok := shadowed[table.find(r, pick(hosts))]; ok {
				t.Fatalf("%s %s %v finds a route that is said to get no request: %+v before %+v", r.Method, r.URL.Path, r.Header, configs[s.By].Match, configs[s.Route].Match)
			}
		}
	}
	if said < 500 {
		t.Errorf("only %d routes are said to get no request; the test compares too little", said)
	}
}

// TestTheStepsToFindShadowedRoutesGrowWithTheirNumber holds the search to a few steps
// a route, for files in which many routes have something in common.
func TestTheStepsToFindShadowedRoutesGrowWithTheirNumber(t *testing.T) {
	const n = 10000
	for name, config := range map[string]func(i int) Config{
		"paths":     func(i int) Config { return Config{Match: Match{Path: fmt.Sprintf("/r%d", i)}} },
		"prefixes":  func(i int) Config { return Config{Match: Match{PathPrefix: fmt.Sprintf("/r/%d/a/b", i)}} },
		"one path":  func(int) Config { return Config{Match: Match{Path: "/a"}} },
		"hosts":     func(i int) Config { return Config{Match: Match{Hosts: []string{fmt.Sprintf("h%d.a.b.example", i)}}} },
		"wildcards": func(i int) Config { return Config{Match: Match{Hosts: []string{fmt.Sprintf("*.h%d.example", i)}}} },
		"methods": func(i int) Config {
			return Config{Match: Match{Path: "/a", Methods: []string{fmt.Sprintf("M%d", i)}}}
		},
		"values": func(i int) Config {
			return Config{Match: Match{PathPrefix: "/", Headers: []HeaderMatch{{Name: "X", Exact: "1"}, {Name: "Y", Exact: fmt.Sprint(i)}}}}
		},
		"two hosts": func(i int) Config {
			return Config{Match: Match{Path: "/a", Hosts: []string{"a.test", fmt.Sprintf("h%d.test", i)}}}
		},
	} {
		s := shadows{kept: map[shadowKey][]int{}}
		for i := range n {
			c := config(i)
			s.add(newReach(&c))
		}
		if s.steps > 50*n {
			t.Errorf("%s: %d steps for %d routes", name, s.steps, n)
		}
		if want := map[string]int{"one path": n - 1}[name]; len(s.found) != want {
			t.Errorf("%s: %d routes are said to get no request, want %d", name, len(s.found), want)
		}
	}
}
