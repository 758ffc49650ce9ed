package rotation_test

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// rotationConfig serves /health, and /api from a plain upstream. watch says
// whether changes of files count without a signal.
func rotationConfig(upstream string, watch bool) string {
	return fmt.Sprintf(`
reload: {watch: %t}
listeners:
  - name: public
    address: localhost:0
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - match: {path: /health}
    health: live
  - match: {path_prefix: /api}
    cluster: api
    timeout: 0s
clusters:
  - name: api
    endpoints: [%s]
`, watch, upstream)
}

// rotation is a gateway with the users' certificates, whose health is asked
// by their loop all the time.
type rotation struct {
	*harness.Gateway
	api  *harness.PlainAPI
	loop *exec.Cmd
	out  *testkit.Buffer
}

func startRotation(t *testing.T, watch bool) *rotation {
	t.Helper()
	dir := harness.ShortDir(t)
	harness.Certificates(t, dir)
	api := &harness.PlainAPI{}
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	r := &rotation{Gateway: harness.Start(t, dir, rotationConfig(upstream.URL, watch)), api: api, out: &testkit.Buffer{}}
	harness.WriteFile(t, dir, "loop.sh", []byte(`while true; do
  curl -s -o /dev/null -w "%{http_code}\n" --cacert ca.crt https://localhost:$PORT/health \
  && echo "$(date +%H:%M:%S) - OK" || echo "$(date +%H:%M:%S) - FAIL"
  sleep 0.05
done
`))
	r.loop = exec.Command("bash", "loop.sh")
	r.loop.Dir = dir
	r.loop.Env = append(os.Environ(), "PORT="+r.Port("public"))
	r.loop.Stdout = r.out
	if err := r.loop.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.loop.Process.Kill(); r.loop.Wait() })
	return r
}

// sh runs a script in the gateway's folder, whose pgrep finds this gateway.
func (r *rotation) sh(script string) {
	r.T.Helper()
	harness.Shell(r.T, r.Dir, script, "GATEWAY="+strconv.Itoa(r.Cmd.Process.Pid))
}

// stop ends the loop and checks every line of it.
func (r *rotation) stop() {
	r.T.Helper()
	r.Eventually("some rounds of the loop", func() error {
		if n := strings.Count(r.out.String(), " - OK"); n < 5 {
			return fmt.Errorf("%d rounds", n)
		}
		return nil
	})
	r.loop.Process.Kill()
	r.loop.Wait()
	all := strings.TrimSpace(r.out.String())
	for line := range strings.Lines(all) {
		if line = strings.TrimSpace(line); line != "200" && !strings.HasSuffix(line, " - OK") {
			r.T.Fatalf("the loop saw %q:\n%s", line, all)
		}
	}
	select {
	case <-r.Done:
		r.T.Fatal("the process ended")
	default:
	}
}

func (r *rotation) expectSerial(of string) {
	r.T.Helper()
	want := strings.TrimPrefix(strings.TrimSpace(harness.Shell(r.T, r.Dir, "openssl x509 -in "+of+" -noout -serial")), "serial=")
	r.Eventually("new handshakes to show the new certificate", func() error {
		if got := harness.Serial(r.T, r.Address("public")); !strings.EqualFold(strings.TrimLeft(got, "0"), strings.TrimLeft(want, "0")) {
			return fmt.Errorf("serial %s, want %s", got, want)
		}
		return nil
	})
}

// openAll opens everything once for each protocol. The users' certificates
// have no SAN, so the client looks at the chain alone.
func (r *rotation) openAll() []*harness.Opened {
	r.T.Helper()
	var all []*harness.Opened
	for _, protocol := range []string{"http/1.1", "h2"} {
		c := harness.Client(r.T, harness.Read(r.T, r.Dir, "ca.crt"), protocol)
		chainOnly(c)
		all = append(all, harness.Open(r.T, r.api, "https://"+r.Address("public")+"/api", protocol, c))
	}
	return all
}

// chainOnly makes a client accept certificates without SAN, which Go does not.
func chainOnly(c *http.Client) {
	conf := c.Transport.(*http.Transport).TLSClientConfig
	roots := conf.RootCAs
	conf.InsecureSkipVerify = true
	conf.VerifyConnection = func(cs cryptotls.ConnectionState) error {
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots})
		return err
	}
}

func finishAll(all []*harness.Opened) {
	for _, o := range all {
		o.Finish()
	}
}

// NET-02, the literal commands.
func TestRotationBySignalCostsNobodyAConnection(t *testing.T) {
	t.Parallel()
	r := startRotation(t, false)
	pid := r.Cmd.Process.Pid
	before := harness.Serial(t, r.Address("public"))
	all := r.openAll()
	r.sh(newServerPair + `
cp server-new.crt server.crt
cp server-new.key server.key
kill -HUP $(pgrep -f mcpgateway)
`)
	r.expectSerial("server-new.crt")
	if harness.Serial(t, r.Address("public")) == before {
		t.Error("the serial did not change")
	}
	finishAll(all)
	r.stop()
	if r.Status().PID != pid {
		t.Error("the process is another one")
	}
}

func TestRotationByFileChangeAloneCostsNobodyAConnection(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]string{
		"cp": "cp server-new.crt server.crt; cp server-new.key server.key",
		"mv": "mv server-new.crt server.crt; cp server.crt server-new.crt; mv server-new.key server.key",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRotation(t, true)
			all := r.openAll()
			r.sh(newServerPair + replace)
			r.expectSerial("server-new.crt")
			finishAll(all)
			r.stop()
		})
	}
}

// An operator signals when only the certificate is there. The key comes later, and
// no second signal.
func TestAKeyThatComesAfterTheSignalIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := startRotation(t, false)
	before := harness.Serial(t, r.Address("public"))
	all := r.openAll()
	r.sh(newServerPair)
	read := reads(t, filepath.Join(r.Dir, "server.key"))
	r.sh("cp server-new.crt server.crt; kill -HUP $(pgrep -f mcpgateway)")
	for range 5 { // the gateway looks whether the key has come
		testkit.Receive(t, read, "the gateway to read the old key beside the new certificate")
		if got := harness.Serial(t, r.Address("public")); got != before {
			t.Errorf("serial %s while the pair is torn, want the old %s", got, before)
		}
	}
	r.sh("cp server-new.key server.key")
	r.expectSerial("server-new.crt")
	if n := r.Rejected(); n != 0 {
		t.Errorf("%d reloads were rejected", n)
	}
	finishAll(all)
	r.stop()
}

// reads returns a channel that something is sent to whenever a process has read a
// file and closed it.
func reads(t *testing.T, path string) <-chan struct{} {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { events.Close() })
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_CLOSE_NOWRITE); err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{}, 1000)
	go func() {
		buf := make([]byte, 100*unix.SizeofInotifyEvent)
		for {
			n, err := events.Read(buf) // an event about a watched file itself has no name behind it
			if err != nil {
				return
			}
			for range n / unix.SizeofInotifyEvent {
				seen <- struct{}{}
			}
		}
	}()
	return seen
}

// An operator copies the certificate, and the key much later.
func TestATornPairWaitsAndTheOldOneServes(t *testing.T) {
	t.Parallel()
	r := startRotation(t, true)
	before := harness.Serial(t, r.Address("public"))
	all := r.openAll()
	r.sh(newServerPair + "cp server-new.crt server.crt; kill -HUP $(pgrep -f mcpgateway)")
	r.Eventually("the torn pair to be reported", func() error {
		if o := r.Status().LastReload; o == nil || o.Result != "rejected" {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
	if got := harness.Serial(t, r.Address("public")); got != before {
		t.Errorf("serial %s while the pair is torn, want the old %s", got, before)
	}
	r.sh("cp server-new.key server.key")
	r.expectSerial("server-new.crt")
	finishAll(all)
	r.stop()
}

func TestAHundredSignalsInARowCostNobodyAConnection(t *testing.T) {
	t.Parallel()
	r := startRotation(t, false)
	all := r.openAll()
	r.sh(newServerPair + `
cp server.crt server-old.crt; cp server.key server-old.key
for i in $(seq 50); do
  cp server-new.crt server.crt; cp server-new.key server.key; kill -HUP $(pgrep -f mcpgateway)
  cp server-old.crt server.crt; cp server-old.key server.key; kill -HUP $(pgrep -f mcpgateway)
done
cp server-new.crt server.crt; cp server-new.key server.key; kill -HUP $(pgrep -f mcpgateway)
`)
	r.expectSerial("server-new.crt")
	finishAll(all)
	r.stop()
}

func TestABrokenCertificateOrFileLeavesTheOldGenerationServing(t *testing.T) {
	t.Parallel()
	r := startRotation(t, false)
	before := harness.Serial(t, r.Address("public"))
	all := r.openAll()
	good := harness.Read(t, r.Dir, "config.yaml")
	goodCert := harness.Read(t, r.Dir, "server.crt")
	for name, spoil := range map[string]struct{ file, content, want string }{
		"a certificate that is none": {"server.crt", "garbage", "certificates[0].cert: the file is not PEM"},
		"YAML that is none":          {"config.yaml", "listeners: [", "config.yaml"},
		"an unknown key":             {"config.yaml", string(good) + "\nlisteners_: []\n", "listeners_"},
	} {
		harness.WriteFile(t, r.Dir, spoil.file, []byte(spoil.content))
		r.HangUp()
		r.Eventually(name+" to be reported", func() error {
			o := r.Status().LastReload
			if o == nil || o.Result != "rejected" || !strings.Contains(strings.Join(o.Errors, "\n"), spoil.want) {
				return fmt.Errorf("%+v", o)
			}
			return nil
		})
		harness.WriteFile(t, r.Dir, "config.yaml", good)
		harness.WriteFile(t, r.Dir, "server.crt", goodCert)
	}
	if got := harness.Serial(t, r.Address("public")); got != before {
		t.Errorf("serial %s, want the old %s", got, before)
	}
	r.sh(newServerPair + "cp server-new.crt server.crt; cp server-new.key server.key")
	r.HangUp()
	r.expectSerial("server-new.crt")
	finishAll(all)
	r.stop()
}

// Users find the process to signal by a name that every sub-command has.
func TestASubCommandSurvivesSIGHUP(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(harness.ShortDir(t), "a.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd, out := harness.Command(t, "", "reload", "--admin", "unix:"+socket), &testkit.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A gateway that answers only after the signal has come.
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cmd.Process.Signal(syscall.SIGHUP)
		fmt.Fprint(w, `{"result":"unchanged","generation":7}`)
	}))
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "generation 7: unchanged") {
		t.Errorf("reload: %v\n%s", err, out.String())
	}
}
