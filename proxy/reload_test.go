package proxy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// named is a file whose listeners, by name and address, each answer their name.
func named(listeners ...string) string {
	var l, r strings.Builder
	for i := 0; i < len(listeners); i += 2 {
		fmt.Fprintf(&l, "  - {name: %s, address: %q}\n", listeners[i], listeners[i+1])
		fmt.Fprintf(&r, "  - {name: %[1]s, match: {path: /}, listeners: [%[1]s], respond: {body: %[1]s}}\n", listeners[i])
	}
	return unwatched + "drain: {close_spread: 0s}\nlisteners:\n" + l.String() + "routes:\n" + r.String()
}

func TestListenersMoveBetweenAddressesAndNames(t *testing.T) {
	one, two := freePort(t), freePort(t)
	p := run(t, "", named("a", one, "b", two))
	for _, step := range []struct {
		name     string
		yaml     string
		one, two string
	}{
		{"both swap addresses", named("a", two, "b", one), "b", "a"},
		{"one is renamed", named("a", two, "c", one), "c", "a"},
		{"one is removed", named("c", one), "c", ""},
		{"and added again at once", named("a", two, "c", one), "c", "a"},
		{"one takes the address of one removed", named("a", one), "a", ""},
		{"and gives it up for its old one", named("a", two), "", "a"},
	} {
		p.mustApply(step.yaml)
		for address, want := range map[string]string{one: step.one, two: step.two} {
			if want == "" {
				bindable(t, address)
				continue
			}
			expectBody(t, "http://"+address, want)
		}
		if t.Failed() {
			t.Fatalf("after %s", step.name)
		}
	}
	p.settled()
}

// The admin section goes and comes by the very requests that it serves.
func TestTheAdminAddressChangesByTheRequestThatItServes(t *testing.T) {
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, tcp := "unix:"+filepath.Join(dir, "a.sock"), freePort(t)
	with := func(address string) string {
		return named("a", "127.0.0.1:0") + "admin: {address: \"" + address + "\"}\n"
	}
	p := run(t, dir, with(socket))
	for i := range 6 {
		from, to := socket, tcp
		if i%2 == 1 {
			from, to = tcp, socket
		}
		write(t, filepath.Join(dir, "config.yaml"), with(to))
		if o, err := admin.NewClient(from).Reload(context.Background()); err != nil || o.Result != admin.Applied {
			t.Fatalf("from %s to %s: %+v, %v", from, to, o, err)
		}
		if _, err := admin.NewClient(to).Status(context.Background()); err != nil {
			t.Errorf("%s does not answer: %v", to, err)
		}
		if _, err := admin.NewClient(from).Status(context.Background()); err == nil {
			t.Errorf("%s answers still", from)
		}
	}
	for range 3 {
		p.mustApply(named("a", "127.0.0.1:0"))
		p.mustApply(with(socket))
	}
}

// An operator who edits the file while it is not watched asks by a signal.
func TestWatchingIsTurnedOffAndOn(t *testing.T) {
	yaml := func(watch bool, body string) string {
		return fmt.Sprintf("reload: {watch: %t}\nlisteners: [{name: a, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /}, respond: {body: %s}}]", watch, body)
	}
	p := run(t, "", yaml(false, "one"))
	applied := func(want uint64, trigger string) {
		t.Helper()
		testkit.Retry(t, "the generation", func() error {
			if s := p.Status(); s.Generation.Number != want || s.LastReload.Trigger != trigger {
				return fmt.Errorf("generation %d by %s", s.Generation.Number, s.LastReload.Trigger)
			}
			return nil
		})
	}
	write(t, filepath.Join(p.dir, "config.yaml"), yaml(true, "two"))
	p.hup <- nil
	applied(2, "signal")
	write(t, filepath.Join(p.dir, "config.yaml"), "listeners: }")
	testkit.Retry(t, "the broken file to be seen", func() error {
		if o := p.Status().LastReload; o.Result != admin.Rejected {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
	write(t, filepath.Join(p.dir, "config.yaml"), yaml(true, "three"))
	applied(3, "file change")
}

func TestStatusCanBeAskedThroughEveryTransition(t *testing.T) {
	upstream := api(t).URL
	p := run(t, "", mcpYAML(upstream, "0"))
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for !isClosed(stop) {
				for _, d := range p.Status().Draining {
					if d.Requests < 0 || d.Since.IsZero() {
						t.Errorf("%+v", d)
						return
					}
				}
			}
		})
		asking.Go(func() {
			for !isClosed(stop) {
				if got, err := body("http://" + p.address("public") + "/x"); err != nil || got != "api" {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	for i := 1; i <= 10; i++ {
		p.mustApply(mcpYAML(upstream, fmt.Sprint(i)))
	}
	close(stop)
	asking.Wait()
}

// systemd ignores what is longer than a page, and takes each line for a
// statement.
func TestTheServiceManagerGetsOneShortLine(t *testing.T) {
	var mu sync.Mutex
	var states []string
	p := run(t, "", named("a", "127.0.0.1:0"), func(o *Options) {
		o.Notify = func(s string) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, s)
		}
	})
	many := named("a", "127.0.0.1:0")
	for i := range 500 {
		many += fmt.Sprintf("  - {name: \"r%d\", match: {path: /}, cluster: \"no\\nsuch\"}\n", i)
	}
	if o := p.apply(many); o.Result != admin.Rejected {
		t.Fatalf("%+v", o)
	}
	wide := []string{"a", "127.0.0.1:0"}
	for i := range 100 {
		wide = append(wide, fmt.Sprintf("a-listener-with-a-name-%d", i), "127.0.0.1:0")
	}
	p.mustApply(named(wide...))
	mu.Lock()
	defer mu.Unlock()
	for _, s := range states {
		if len(s) > 2048 || strings.Count(s, "\n") > 1 {
			t.Errorf("%d bytes: %.200q", len(s), s)
		}
	}
	if last := states[len(states)-1]; !strings.HasPrefix(last, "READY=1\nSTATUS=generation 2: listeners +a-listener") {
		t.Errorf("%.200q", last)
	}
}
