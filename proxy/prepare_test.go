package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// traces is what a process holds.
type traces struct{ goroutines, descriptors int }

func look(t *testing.T) traces {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return traces{runtime.NumGoroutine(), len(fds)}
}

// bindable fails the test unless the address is free.
func bindable(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("left bound: %v", err)
		return
	}
	l.Close()
}

// Each preparation gets further than the one before it, and fails.
func TestAPreparationThatFailsLeavesNoTrace(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const base = unwatched + "clusters: [{name: old, endpoints: [\"http://127.0.0.1:1\"]}]\n"
	good := base + "listeners: [{name: public, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /}, respond: {body: old}}]"
	p := run(t, "", good)
	url := "http://" + p.address("public")
	expectBody(t, url, "old") // what starts with the first connection runs
	upstream := api(t)

	port, console := freePort(t), freePort(t)
	listeners := func(third string) string {
		return fmt.Sprintf("listeners:\n  - {name: public, address: \"127.0.0.1:0\"}\n  - {name: second, address: %q}\n  - {name: third, address: %q}\n", port, third)
	}
	full := unwatched + "clusters:\n  - {name: old, endpoints: [\"http://127.0.0.1:1\"]}\n" +
		"  - {name: fresh, endpoints: [\"" + upstream.URL + "\"], health_check: {kind: http}}\n" +
		"routes: [{match: {path: /}, listeners: [all], respond: {body: new}}]\n"
	for _, c := range []struct{ name, yaml, want string }{
		{"the log file cannot be opened", full + listeners("127.0.0.1:0") + "log: {file: .}\n", "opening the log file"},
		{"an address is taken, behind new clusters, a log file and another address",
			full + listeners(taken.Addr().String()) + "log: {file: new.log}\nadmin: {address: \"" + console + "\"}\n", "listener third: listen on " + taken.Addr().String()},
		{"two spellings are one address",
			full + listeners("localhost:"+port[strings.LastIndexByte(port, ':')+1:]) + "log: {file: new.log}\n", "is also the address of listener second"},
		{"the admin address is taken",
			full + listeners("127.0.0.1:0") + "log: {file: new.log}\nadmin: {address: \"" + taken.Addr().String() + "\"}\n", "admin.address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, number := look(t), p.Status().Generation.Number
			o := p.apply(c.yaml)
			if o.Result != admin.Rejected || !strings.Contains(strings.Join(o.Errors, "\n"), c.want) {
				t.Fatalf("%s: %q, want %q", o.Result, o.Errors, c.want)
			}
			bindable(t, port)
			bindable(t, console)
			if _, err := os.Stat(filepath.Join(p.dir, "new.log")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the log file is left: %v", err)
			}
			if n := p.Status().Generation.Number; n != number {
				t.Errorf("generation %d, it was %d", n, number)
			}
			expectBody(t, url, "old")
			testkit.Retry(t, "goroutines and descriptors to be what they were", func() error {
				if now := look(t); now.goroutines > before.goroutines || now.descriptors > before.descriptors {
					return fmt.Errorf("%+v, before %+v", now, before)
				}
				return nil
			})
		})
	}
	p.mustApply(full + listeners("127.0.0.1:0"))
	expectBody(t, url, "new")
}

func TestAFirstGenerationThatFailsLeavesNothingRunning(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := look(t)
	p := begin(t, "", unwatched+"log: {file: new.log}\nlisteners: [{name: public, address: \""+taken.Addr().String()+"\"}]")
	p.ended()
	if p.err == nil || !strings.Contains(p.logs.String(), "nothing is served") {
		t.Errorf("ended with %v\n%s", p.err, p.logs)
	}
	testkit.Retry(t, "goroutines and descriptors to be what they were", func() error {
		if now := look(t); now.goroutines > before.goroutines || now.descriptors > before.descriptors {
			return fmt.Errorf("%+v, before %+v", now, before)
		}
		return nil
	})
}

func TestANewClusterThatIsUnhealthyIsReportedAndDoesNotBlock(t *testing.T) {
	const listener = unwatched + "listeners: [{name: public, address: \"127.0.0.1:0\"}]\n"
	p := run(t, "", listener)
	o := p.mustApply(listener + "clusters:\n  - {name: dead, endpoints: [\"http://" + deadPort(t) + "\"], health_check: {kind: tcp, interval: 10ms}}\n" +
		"  - {name: live, endpoints: [\"" + api(t).URL + "\"], health_check: {kind: tcp}}\n")
	if len(o.Warnings) != 1 || !strings.HasPrefix(o.Warnings[0], "cluster dead: 1 of 1 endpoints take no traffic yet; http://127.0.0.1:") ||
		!strings.Contains(o.Warnings[0], "is unhealthy: ") || !strings.Contains(o.Warnings[0], "connection refused") {
		t.Errorf("warnings %q", o.Warnings)
	}
}

// Kinds that know a protocol above get their probers from this package.
func TestEveryKindOfHealthCheckHasAProber(t *testing.T) {
	field, _ := reflect.TypeFor[clusters.HealthCheck]().FieldByName("Kind")
	for _, kind := range strings.Split(field.Tag.Get("enum"), ",") {
		path := filepath.Join(t.TempDir(), "config.yaml")
		write(t, path, "listeners: [{name: public, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /}, cluster: c}]\n"+
			"clusters: [{name: c, endpoints: [\"https://127.0.0.1:1\"], health_check: {kind: "+kind+"}}]\n")
		if _, err := Check(t.Context(), path, nil); err != nil {
			t.Error(err)
		}
	}
}
