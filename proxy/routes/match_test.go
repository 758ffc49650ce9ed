package routes

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheFirstRouteThatMatchesServes(t *testing.T) {
	g := start(t, `
routes:
- {name: exact, match: {path: /a}, respond: {body: exact}}
- {name: host, match: {hosts: [one.example], path_prefix: /a}, respond: {body: host}}
- {name: wild, match: {hosts: ["*.Two.Example"], path_prefix: /a}, respond: {body: wild}}
- {name: address, match: {hosts: ["[::1]"], path_prefix: /}, respond: {body: address}}
- {name: post, match: {path_prefix: /m, methods: [POST]}, respond: {body: post}}
- {name: put, match: {path_prefix: /m, methods: [PUT, DELETE]}, respond: {body: put}}
- {name: prod, match: {path_prefix: /h, headers: [{name: x-env, exact: prod}]}, respond: {body: prod}}
- {name: dev, match: {path_prefix: /h, headers: [{name: X-Env, prefix: dev-}, {name: X-Ok, present: true}]}, respond: {body: dev}}
- {name: regex, match: {path_prefix: /h, headers: [{name: X-Env, regex: '[0-9]+|x'}]}, respond: {body: regex}}
- {name: absent, match: {path_prefix: /h, headers: [{name: X-Env, present: false}]}, respond: {body: absent}}
- {name: other-listener, listeners: [other], match: {path_prefix: /}, respond: {body: wrong}}
- {name: prefix, match: {path_prefix: /p/q/}, respond: {body: prefix}}
- {name: unicode, match: {path: "/späti"}, respond: {body: unicode}}
`)
	for _, c := range []struct {
		request string // method, path, then header fields
		want    string
	}{
		{"GET /a", "exact"}, {"GET /a?q", "exact"}, {"GET /A", ""}, {"GET /a/", ""}, {"GET /%61", "exact"},
		{"GET /a/b Host:one.example", "host"}, {"GET /a/b Host:ONE.example.:8443", "host"}, {"GET /a/b Host:xone.example", ""}, {"GET /ab Host:one.example", ""},
		{"GET /a/b Host:x.two.example", "wild"}, {"GET /a/b Host:x.y.TWO.example:1", "wild"}, {"GET /a/b Host:two.example", ""}, {"GET /a/b Host:xtwo.example", ""},
		{"GET /z Host:[::1]:80", "address"}, {"GET /z Host:[0:0::1]", ""},
		{"POST /m", "post"}, {"PUT /m/x", "put"}, {"DELETE /m", "put"},
		{"GET /h X-Env:prod", "prod"}, {"GET /h X-Env:x X-Env:prod", "prod"}, {"GET /h X-Env:product", ""},
		{"GET /h X-Env:dev-1", ""}, {"GET /h X-Env:dev-1 X-Ok:", "dev"}, {"GET /h X-Env:42", "regex"}, {"GET /h X-Env:42a", ""}, {"GET /h X-Env:xx", ""}, {"GET /h", "absent"},
		{"GET /p/q", "prefix"}, {"GET /p/q/", "prefix"}, {"GET /p/q/r", "prefix"}, {"GET /p/qr", ""}, {"GET /p", ""},
		{"GET /sp%C3%A4ti", "unicode"},
	} {
		parts := strings.Fields(c.request)
		var fields []string
		for _, f := range parts[2:] {
			name, value, _ := strings.Cut(f, ":")
			fields = append(fields, name, value)
		}
		a := g.do(parts[0], parts[1], nil, fields...)
		if c.want == "" {
			if a.StatusCode != 404 || a.body != `{"error":{"code":"no_route_found","message":"no route matches this request"}}`+"\n" {
				t.Errorf("%s: %d %s, want 404", c.request, a.StatusCode, a.body)
			}
			if e := g.entry(); e.Flag != "no_route_found" || e.Route != "" {
				t.Errorf("%s: %+v", c.request, e)
			}
			continue
		}
		if a.StatusCode != 200 || a.body != c.want {
			t.Errorf("%s: %d %s, want %s", c.request, a.StatusCode, a.body, c.want)
		}
		if e := g.entry(); e.Route != c.want {
			t.Errorf("%s: the log names the route %q", c.request, e.Route)
		}
	}
	a := g.get("/m")
	if a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "DELETE, POST, PUT" {
		t.Errorf("a method that no route takes: %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	r, err := compile(&Config{Match: Match{PathPrefix: "/a", Hosts: []string{"*.example.com"}, Headers: []HeaderMatch{{Name: "X-A", Prefix: "v"}}}})
	if err != nil {
		t.Fatal(err)
	}
	table := newTable([]*route{r}, "")
	req, _ := http.NewRequest("GET", "http://www.example.com/a/b", nil)
	req.RequestURI = "/a/b"
	req.Header.Set("X-A", "value")
	if n := testing.AllocsPerRun(100, func() {
		if host, refused := checkEdge(req); refused != nil || table.find(req, host) == nil {
			t.Error("no match")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
