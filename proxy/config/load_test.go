package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write puts files into a new directory, and returns the path of config.yaml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config.yaml")
}

// decode loads text, which must be good.
func decode(t *testing.T, text string) *sample {
	t.Helper()
	var s sample
	if _, err := load(write(t, map[string]string{"config.yaml": text}), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestEveryTypeIsDecoded(t *testing.T) {
	path := write(t, map[string]string{
		"config.yaml": `
log: {level: debug, file: 007, access: false}
limits:
  connections: 5
  small: -128
  streams: 0
  weight: -0.25
  header: 1024
  timeout: 1m30s
  idle: 0
  jitter: 12.5%
listeners:
  - name: public
    address: "[::]:8443"
    protocols: [h2]
    trusted: [10.0.0.0/8, "fd00::/8"]
    tls: {cert: certs/a.pem, key: certs/a.pem}
  - {name: plain, address: ":80", tls: {}}
clusters:
  - name: github
    endpoints: &urls
      - https://10.0.0.5/mcp
    health: {interval: 500ms}
  - {name: jira, endpoints: *urls}
routes:
  - clusters: [github, {name: jira, prefix: j}]
    match: {path: /mcp}
headers:
  X-Plain: yes
  X-Secret: {file: secrets/token}
labels: {a: "", "b.c": 1.50, no: ~x}
pools: {small: {}, big: {size: 9}}
token: secrets/token
verbose: false
`,
		"certs/a.pem":   "pem\n",
		"secrets/token": "s3cret\r\n",
	})
	// A key keeps no newline, a certificate does.
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "certs/a.pem"), []byte("pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	var got sample
	snapshot, err := load(path, &got)
	if err != nil {
		t.Fatal(err)
	}
	pem := config.File{Path: filepath.Join(dir, "certs/a.pem"), Data: []byte("pem")}
	secret := filepath.Join(dir, "secrets/token")
	no := false
	want := sample{
		Log: sampleLog{Level: "debug", File: "007"},
		Limits: sampleLimits{
			Connections: 5, Small: -128, Weight: -0.25, Header: 1024,
			Timeout: 90 * time.Second, Jitter: 12.5,
		},
		Listeners: []sampleListener{
			{
				Name: "public", Address: "[::]:8443", Protocols: []string{"h2"},
				Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
				TLS:     &sampleTLS{Cert: pem, Key: config.Secret{File: pem}, MinVersion: "1.2"},
			},
			{Name: "plain", Address: ":80", Protocols: []string{"http/1.1", "h2"}, TLS: &sampleTLS{MinVersion: "1.2"}},
		},
		Clusters: []sampleCluster{
			{Name: "github", Endpoints: []string{"https://10.0.0.5/mcp"}, Health: &sampleHealth{Interval: 500 * time.Millisecond, Path: "/"}},
			{Name: "jira", Endpoints: []string{"https://10.0.0.5/mcp"}},
		},
		Routes: []sampleRoute{{
			Clusters: []sampleRef{{"github", "none"}, {"jira", "j"}},
			Match:    sampleMatch{Path: "/mcp"},
		}},
		Headers: map[string]config.Value{"X-Plain": {Text: "yes"}, "X-Secret": {Text: "s3cret", File: secret}},
		Labels:  map[string]string{"a": "", "b.c": "1.50", "no": "~x"},
		Pools:   map[string]samplePool{"small": {Size: 3, Seen: true}, "big": {Size: 9, Seen: true}},
		Token:   config.Secret{File: config.File{Path: secret, Data: []byte("s3cret")}},
		Verbose: &no,
	}
	// What their readers remember is no part of files.
	for _, f := range []*config.File{&got.Listeners[0].TLS.Cert, &got.Listeners[0].TLS.Key.File, &got.Token.File} {
		*f = config.File{Path: f.Path, Data: f.Data}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if want := []string{path, pem.Path, secret}; !reflect.DeepEqual(snapshot.Files, want) {
		t.Errorf("files %q, want %q", snapshot.Files, want)
	}
	if snapshot.Path != path {
		t.Errorf("path %q, want %q", snapshot.Path, path)
	}
	if len(snapshot.Warnings) != 1 || snapshot.Warnings[0].Error() != path+":23:24: clusters[0].health.interval: 500ms is often" {
		t.Errorf("warnings %v", snapshot.Warnings)
	}
}

func TestAbsentKeysHaveDefaults(t *testing.T) {
	got := decode(t, "listeners: []\n")
	want := &sample{
		Log: sampleLog{Level: "info", Access: true},
		Limits: sampleLimits{
			Connections: 10000, Streams: 100, Weight: 0.5, Header: 64 << 10,
			Timeout: 10 * time.Second, Jitter: 10,
		},
		Listeners: []sampleListener{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	made := &sample{Listeners: []sampleListener{}}
	if err := config.Defaults(made); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(made, want) {
		t.Errorf("Defaults made\n%+v\nwant\n%+v", made, want)
	}
}

func TestEmptyStringsOfOptionalKeysAreAsAbsent(t *testing.T) {
	got := decode(t, `
listeners: []
log: {format: "", file: ""}
routes: [{clusters: [a], match: {path: /, method: ""}}]
clusters: [{name: a, endpoints: [""]}]
token: ""
socket: ""
bind: ""
`)
	if got.Log.Format != "" || got.Routes[0].Match.Method != "" || !got.Token.IsZero() || got.Socket != "" || got.Bind.IsValid() {
		t.Errorf("got %+v", got)
	}
}

func TestPathsAreMadeAbsolute(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "listeners: []\nsocket: run/../admin.sock\n"})
	var s sample
	snapshot, err := load(path, &s)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(filepath.Dir(path), "admin.sock"); string(s.Socket) != want {
		t.Errorf("got %s, want %s", s.Socket, want)
	}
	if len(snapshot.Files) != 1 {
		t.Errorf("a path was read: %q", snapshot.Files)
	}
}

func TestDefaultsReachEverythingBelowAndKeepWhatIsSet(t *testing.T) {
	s := sample{
		Log:       sampleLog{Level: "warn"},
		Listeners: []sampleListener{{TLS: &sampleTLS{}}},
		Pools:     map[string]samplePool{"a": {}},
	}
	if err := config.Defaults(&s); err != nil {
		t.Fatal(err)
	}
	if s.Log.Level != "warn" || s.Listeners[0].TLS.MinVersion != "1.2" || len(s.Listeners[0].Protocols) != 2 || s.Pools["a"].Size != 3 {
		t.Errorf("got %+v", s)
	}
}

func TestEnvironmentIsSubstitutedInScalarsOnly(t *testing.T) {
	got := decode(t, `
listeners:
  - name: ${NAME}
    address: "127.0.0.1:${PORT}"
log:
  level: ${UNSET:-warn}
  file: ${EMPTY}
  access: ${YES}
limits: {connections: "${PORT}", timeout: "${WAIT}", streams: "${UNSET:-7}"}
labels:
  yaml: ${YAML}
  twice: ${NAME}-${NAME}
  again: ${REF}
  dollar: $$${NAME} $${NAME} a$b ends$ $
  empty: ${EMPTY:-full}
  none: ${UNSET:-}
  colon: ${UNSET:-a:-b c}
  '${NAME}': key
  quoted: '${NAME} it''s'
  block: |
    ${NAME}
`)
	if got.Listeners[0].Name != "public" || got.Listeners[0].Address != "127.0.0.1:8080" {
		t.Errorf("listeners %+v", got.Listeners)
	}
	if got.Log != (sampleLog{Level: "warn", Access: true}) {
		t.Errorf("log %+v", got.Log)
	}
	if got.Limits.Connections != 8080 || got.Limits.Timeout != 20*time.Second || got.Limits.Streams != 7 {
		t.Errorf("limits %+v", got.Limits)
	}
	want := map[string]string{
		"yaml": "a, b: {c: d}\n- e # f", "twice": "public-public", "again": "${PORT}",
		"dollar": "$public ${NAME} a$b ends$ $", "empty": "full", "none": "", "colon": "a:-b c",
		"${NAME}": "key", "quoted": "public it's", "block": "public\n",
	}
	if !reflect.DeepEqual(got.Labels, want) {
		t.Errorf("labels\n%q\nwant\n%q", got.Labels, want)
	}
}

func TestTargetsAndTagsOfTheProgramAreChecked(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "{}\n"})
	number := 5
	for name, dst := range map[string]any{
		"nil":         nil,
		"no pointer":  sample{},
		"no struct":   &number,
		"nil pointer": (*sample)(nil),
		"bad default": &struct {
			A time.Duration `yaml:"a" default:"15"`
		}{},
		"beyond max": &struct {
			A int `yaml:"a" default:"5" max:"4"`
		}{},
		"bad bound": &struct {
			A int `yaml:"a" min:"x"`
		}{},
		"bound of text": &struct {
			A string `yaml:"a" min:"1"`
		}{},
		"bad pattern": &struct {
			A string `yaml:"a" pattern:"("`
		}{},
		"same key": &struct {
			A, B string `yaml:"a"`
		}{},
		"unexported": &struct {
			a string `yaml:"a"`
		}{},
		"channel": &struct {
			A chan int `yaml:"a"`
		}{},
		"map of ints": &struct {
			A map[int]string `yaml:"a"`
		}{},
		"file default": &struct {
			A config.File `yaml:"a" default:"x"`
		}{},
		"bad list": &struct {
			A []string `yaml:"a" default:"[a"`
		}{},
	} {
		var errs config.Errors
		if _, err := load(path, dst); err == nil || errors.As(err, &errs) {
			t.Errorf("%s: loading gave %v, want an error of the program", name, err)
		}
		if err := config.Defaults(dst); err == nil {
			t.Errorf("%s: Defaults took it", name)
		}
	}
}

func TestErrorsAreOrderedAndBounded(t *testing.T) {
	path := write(t, map[string]string{"config.yaml": "listeners: []\nlog: {" + strings.Repeat("x", 100) + ": 1, level: \"a\\nb\"}\nlabels: {" + manyLists(1000) + "}\n"})
	var s sample
	_, err := load(path, &s)
	var errs config.Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	if len(errs) != 201 || !strings.HasSuffix(errs[200].Message, "more are not shown") {
		t.Errorf("%d errors, the last %v", len(errs), errs[len(errs)-1])
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != len(errs) {
		t.Errorf("%d errors print as %d lines", len(errs), len(lines))
	}
	for i := 1; i < 200; i++ {
		if a, b := errs[i-1], errs[i]; a.Line > b.Line || a.Line == b.Line && a.Column > b.Column {
			t.Fatalf("%v stands before %v", a, b)
		}
	}
}

func manyLists(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": [], ")
	}
	return b.String()
}
