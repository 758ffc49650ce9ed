package hostname

import (
	"net/http"
	"strings"
	"testing"
)

func TestAPatternMatchesItsHostsAndNoOthers(t *testing.T) {
	for _, c := range []struct {
		pattern string
		fit     string // hosts that fit
		other   string // and that do not
	}{
		{"example.com", "example.com EXAMPLE.com example.com. example.com:8443", "a.example.com evilexample.com example.com.evil example"},
		{"*.Example.com", "a.example.com a.b.example.com A.EXAMPLE.COM:1", "example.com evilexample.com .example.com example.com.evil"},
		{"127.0.0.1", "127.0.0.1 127.0.0.1:80", "127.0.0.2 127.0.0.1.evil.example 127.1"},
		{"[::1]", "[::1] [::1]:80", "::1 [::2] [0:0::1]"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s %v", c.pattern, err)
			continue
		}
		for hosts, want := range map[string]bool{c.fit: true, c.other: false} {
			for host := range strings.FieldsSeq(hosts) {
				canonical, ok := Canonical(host)
				if got := ok && p.Matches(canonical); got != want {
					t.Errorf("%s and the host %s: %v", c.pattern, host, got)
				}
			}
		}
	}
}

func TestPatternsThatWouldMatchMoreThanTheySayAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"*": "every host", "*.": "not a host name", "": "not a host name", "*example.com": "wildcard", "*.*.com": "wildcard", "a.*.com": "wildcard", "*com": "wildcard",
		"https://example.com": "more than", "example.com/x": "more than", "example.com:80": "port", "::1": "not a host name",
		"[::1]:80": "port", "*.[::1]": "address", "*.1.2.3.4": "address", "a b": "not a host name", "user@example.com": "not a host name",
	} {
		if p, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %+v, error %v; want %q", pattern, p, err, want)
		}
	}
}

func TestAPatternCoversAnother(t *testing.T) {
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{"a.test", "a.test", true},
		{"*.test", "a.test", true},
		{"*.test", "*.test", true},
		{"*.test", "*.a.test", true},
		{"*.a.test", "*.test", false},
		{"a.test", "*.a.test", false},
		{"*.a.test", "a.test", false},
		{"*.a.test", "*.xa.test", false},
	} {
		p, err := ParsePattern(c.p)
		q, err2 := ParsePattern(c.q)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if p.Covers(q) != c.want {
			t.Errorf("%s covers %s: %v", c.p, c.q, !c.want)
		}
	}
}

func TestLoopbackIsThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:80": true, "a.localhost": true, "127.0.0.1": true, "127.8.9.1": true, "[::1]:80": true, "[::ffff:127.0.0.1]": true,
		"localhost.evil.example": false, "evillocalhost": false, "127.0.0.1.evil.example": false, "0.0.0.0": false, "[::]": false, "2130706433": false, "127.1": false,
	} {
		if canonical, ok := Canonical(host); !ok || Loopback(canonical) != want {
			t.Errorf("%s: canonical %v, loopback %v", host, ok, !want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"example.com", "EXAMPLE.com.:80", "[::1]:8080", "a..b", "x:y", "1.2.3.4", "[fe80::1%25eth0]", "[0:0::1]", "[::ffff:1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := Canonical(s)
		if !ok {
			return
		}
		again := host
		if strings.Contains(host, ":") {
			again = "[" + host + "]"
		}
		if twice, ok := Canonical(again); !ok || twice != host {
			t.Fatalf("%q is %q, and that is %q, %v", s, host, twice, ok)
		}
		if _, err := http.NewRequest("GET", "http://"+again+"/", nil); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
