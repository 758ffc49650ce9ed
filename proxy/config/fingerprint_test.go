package config_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func file(path, data string) config.File { return config.File{Path: path, Data: []byte(data)} }

func TestFingerprintSeesWhatConfiguresTheSame(t *testing.T) {
	yes := true
	same := true
	for name, pair := range map[string][2]any{
		"moved file":        {file("/a", "x"), file("/b", "x")},
		"moved secret":      {config.Secret{File: file("/a", "x")}, config.Secret{File: file("/b", "x")}},
		"value from a file": {config.Value{Text: "x", File: "/a"}, config.Value{Text: "x"}},
		"empty and nil":     {sample{Routes: []sampleRoute{}}, sample{}},
		"pointer at top":    {&sample{Log: sampleLog{File: "x"}}, sample{Log: sampleLog{File: "x"}}},
		"derived":           {sample{Derived: "x"}, sample{}},
		"unexported":        {sample{hidden: "x"}, sample{}},
		"pointer elsewhere": {sample{Verbose: &yes}, sample{Verbose: &same}},
		"map":               {map[string]int{"a": 1, "b": 2, "c": 3}, map[string]int{"c": 3, "b": 2, "a": 1}},
		"nothing":           {(*sample)(nil), nil},
	} {
		a, b := config.Fingerprint(pair[0]), config.Fingerprint(pair[1])
		if name == "nothing" {
			continue // neither panicked
		}
		if a != b {
			t.Errorf("%s: the sums differ", name)
		}
		var compare config.Comparer
		if !compare.Equal(pair[0], pair[1]) {
			t.Errorf("%s: they do not compare equal", name)
		}
	}
}

func TestFingerprintSeesWhatDiffers(t *testing.T) {
	no := false
	seen := map[[32]byte]string{}
	var compare config.Comparer
	var before any
	for name, v := range map[string]any{
		"zero":              sample{},
		"string":            sample{Log: sampleLog{File: "x"}},
		"neighbour":         sample{Log: sampleLog{Level: "x"}},
		"number":            sample{Limits: sampleLimits{Connections: 1}},
		"other number":      sample{Limits: sampleLimits{Small: 1}},
		"float":             sample{Limits: sampleLimits{Weight: 1}},
		"percent":           sample{Limits: sampleLimits{Jitter: 1}},
		"duration":          sample{Limits: sampleLimits{Timeout: time.Second}},
		"pointer to zero":   sample{Verbose: &no},
		"content":           sample{Token: config.Secret{File: file("/a", "x")}},
		"other content":     sample{Token: config.Secret{File: file("/a", "y")}},
		"empty file":        sample{Token: config.Secret{File: file("/a", "")}},
		"one element":       sample{Routes: []sampleRoute{{}}},
		"two elements":      sample{Routes: []sampleRoute{{}, {}}},
		"ab, c":             sample{Labels: map[string]string{"ab": "c"}},
		"a, bc":             sample{Labels: map[string]string{"a": "bc"}},
		"split names":       sample{Clusters: []sampleCluster{{Endpoints: []string{"ab", "c"}}}},
		"split differently": sample{Clusters: []sampleCluster{{Endpoints: []string{"a", "bc"}}}},
		"joined":            sample{Clusters: []sampleCluster{{Endpoints: []string{"abc"}}}},
		"two clusters":      sample{Clusters: []sampleCluster{{Endpoints: []string{"ab"}}, {Endpoints: []string{"c"}}}},
		"prefix":            sample{Listeners: []sampleListener{{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}},
		"other prefix":      sample{Listeners: []sampleListener{{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/9")}}}},
		"present block":     sample{Listeners: []sampleListener{{TLS: &sampleTLS{}}}},
		"absent block":      sample{Listeners: []sampleListener{{}}},
		"value":             sample{Headers: map[string]config.Value{"a": {Text: "x"}}},
		"any":               struct{ A any }{1},
		"other any":         struct{ A any }{"1"},
	} {
		sum := config.Fingerprint(v)
		if other, dup := seen[sum]; dup {
			t.Errorf("%s and %s have one sum", name, other)
		}
		seen[sum] = name
		if compare.Equal(v, before) || !compare.Equal(v, v) {
			t.Errorf("%s compares equal to another, or not to itself", name)
		}
		before = v
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := sample{
		Token:   config.Secret{File: file("/run/token", "hunter2")},
		Headers: map[string]config.Value{"A": {Text: "hunter2", File: "/run/header"}},
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{"JSON": string(encoded)}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, s.Token, s.Headers["A"]} {
			printed[format] += fmt.Sprintf(format, v)
		}
	}
	forms := []string{"hunter2", "68756e74657232", "104 117 110", "0x68, 0x75", base64.StdEncoding.EncodeToString([]byte("hunter2"))}
	for how, out := range printed {
		for _, form := range forms {
			if strings.Contains(out, form) {
				t.Errorf("%s shows the secret: %s", how, out)
			}
		}
	}
}

func TestSizesPrintAsTheyAreWritten(t *testing.T) {
	for size, want := range map[config.Size]string{0: "0", 512: "512", 1024: "1KiB", 1536: "1536", 4 << 20: "4MiB", 1 << 30: "1GiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d prints as %s, want %s", int64(size), got, want)
		}
	}
	if got := config.Percent(12.5).String(); got != "12.5%" {
		t.Errorf("got %s", got)
	}
}
