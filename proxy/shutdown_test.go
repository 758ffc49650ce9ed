package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

func (p *process) waitForLog(text string) {
	p.t.Helper()
	testkit.Retry(p.t, "the log to say "+text, func() error {
		if !strings.Contains(p.logs.String(), text) {
			return fmt.Errorf("%s", p.logs)
		}
		return nil
	})
}

func TestASecondSignalEndsEveryWait(t *testing.T) {
	for name, settings := range map[string]string{
		"in the delay": "shutdown: {delay: 1h, timeout: 1h}\n",
		"in the drain": "shutdown: {timeout: 1h}\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, "", settings+mcpYAML(api(t).URL, "0"))
			_, ended := stream(t, "http://"+p.address("public"))
			p.stop()
			p.waitForLog("shutting down")
			began := time.Now()
			p.kill <- nil
			p.ended()
			<-ended
			if took := time.Since(began); took > forceGrace {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A caller that waits for a reload does not hold up the end.
func TestAReloadAskedForDuringTheShutdownIsRefusedAtOnce(t *testing.T) {
	p := run(t, "", "shutdown: {delay: 1h}\n"+named("a", "127.0.0.1:0"))
	p.stop()
	p.waitForLog("shutting down")
	if o, err := p.Reload(context.Background()); err == nil || err.Error() != "the gateway is shutting down" {
		t.Errorf("%+v, %v", o, err)
	}
	p.kill <- nil
}

// A generation that could not be warmed because the process is to stop is not
// put in force for its last seconds.
func TestAStopDuringWarmingAppliesNothing(t *testing.T) {
	asked := make(chan struct{}, 100)
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(hung.Close)
	hangs := "clusters: [{name: slow, endpoints: [\"" + hung.URL + "\"], health_check: {kind: http, timeout: 1h}}]\n"
	settings := func(yaml string) string { return strings.Replace(yaml, "warm_timeout: 5s", "warm_timeout: 1h", 1) }

	p := run(t, "", settings(named("a", "127.0.0.1:0")))
	write(t, filepath.Join(p.dir, "config.yaml"), settings(named("a", "127.0.0.1:0", "b", "127.0.0.1:0"))+hangs)
	p.hup <- nil
	<-asked
	p.stop()
	p.ended()
	if n := p.shared.generations.newest().number; n != 1 || p.err != nil {
		t.Errorf("generation %d, %v", n, p.err)
	}

	first := begin(t, "", settings(named("a", "127.0.0.1:0"))+hangs)
	<-asked
	first.stop()
	first.ended()
	if first.err != nil || first.shared.generations.newest() != nil {
		t.Errorf("ended with %v", first.err)
	}
}

// A reload that waits for a file system, say, cannot be interrupted.
func TestTheEndIsBoundedWhateverIsUnderWayWhenItBegins(t *testing.T) {
	const yaml = "shutdown: {timeout: 0s}\n" + unwatched + "listeners: [{name: a, address: \"127.0.0.1:0\"}]\n"
	const hanging = yaml + "routes: [{match: {path: /}, respond: {body: \"${HANGS}\"}}]\n"
	for name, first := range map[string]string{"a reload": yaml, "the start": hanging} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, answer, aborted := make(chan struct{}, 100), make(chan struct{}), make(chan struct{}, 2)
			p := idle(t, "", first, func(o *Options) {
				o.Env = func(name string) (string, bool) {
					if name != "HANGS" {
						return "", false
					}
					asked <- struct{}{}
					<-answer
					return "late", true
				}
				o.Abort = func() { aborted <- struct{}{} }
			})
			p.begin()
			defer close(answer)
			if first != hanging {
				p.serves()
				write(t, filepath.Join(p.dir, "config.yaml"), hanging)
				p.hup <- nil
			}
			<-asked
			p.stop()
			select {
			case <-aborted:
			case <-time.After(20 * time.Second):
				t.Error("the process does not end")
			}
		})
	}
}
