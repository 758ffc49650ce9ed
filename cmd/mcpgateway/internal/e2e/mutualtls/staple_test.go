package mutualtls_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/crypto/ocsp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A certificate by ACME that names an OCSP responder is shown with its answer.
// It stands in the storage, since Pebble has no responder.
func TestOpenSSLSeesTheOCSPStaple(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := ocsp.CreateResponse(ca.Cert, ca.Cert, ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, ca.Key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	template := tlstest.Template(t, "localhost")
	template.DNSNames, template.OCSPServer = []string{"localhost"}, []string{responder.URL}
	cert, key := ca.Issue(t, template)

	const directory = "https://127.0.0.1:1/dir" // where no server listens
	issuer := (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
	for path, data := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(issuer, "localhost"):       append(cert, ca.PEM()...),
		certmagic.StorageKeys.SitePrivateKey(issuer, "localhost"): key,
		certmagic.StorageKeys.SiteMeta(issuer, "localhost"):       []byte("{}"),
	} {
		path = filepath.Join(dir, "store", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	g := harness.Start(t, dir, fmt.Sprintf(`
acme: {directory: "%s", storage: store}
listeners:
  - {name: public, address: "localhost:0", tls: {certificates: [{acme: [localhost]}]}}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`, directory))
	g.Eventually("the staple", func() error {
		cmd := exec.Command("openssl", "s_client", "-connect", "localhost:"+g.Port("public"), "-servername", "localhost", "-CAfile", "ca.crt", "-verify_return_error", "-status")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "OCSP Response Status: successful") || !strings.Contains(string(out), "Cert Status: good") {
			return fmt.Errorf("%w\n%s", err, harness.Tail(string(out), 800))
		}
		return nil
	})
}
