package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// signedText is a token of the secret whose claims are that text.
func signedText(claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, []byte(harness.Secret))
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

func TestATokenSaysWhatItSaysToEveryReader(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "jwt.key", []byte(harness.Secret))
	g := harness.Start(t, dir, `
reload: {watch: false}
listeners: [{name: public, address: "127.0.0.1:0"}]
routes:
  - match: {path: /default}
    auth: {jwt: {issuer: iss, hmac_secret_files: [jwt.key]}}
    respond: {status: 204}
  - match: {path: /programs}
    auth: {jwt: {issuer: iss, hmac_secret_files: [jwt.key], principal_claims: [sub, client_id, azp]}}
    respond: {status: 204}
  - match: {path: /anything}
    auth: {jwt: {issuer: iss, hmac_secret_files: [jwt.key], require: []}}
    respond: {status: 204}
  - match: {path: /typed}
    auth: {jwt: {issuer: iss, hmac_secret_files: [jwt.key], types: [at+jwt]}}
    respond: {status: 204}
`)
	exp := time.Now().Add(time.Hour).Unix()
	with := func(format string) string { return fmt.Sprintf(format, exp) }
	for _, c := range []struct {
		path, claims string
		status       int
	}{
		{"/default", with(`{"iss":"iss","sub":"alice","exp":%d}`), 204},
		{"/default", with(`{"iss":"evil","ISS":"iss","sub":"alice","exp":%d}`), 401},
		{"/default", with(`{"iss":"iss","sub":"alice","exp":1,"EXP":%d}`), 401},
		{"/default", with(`{"iss":"iss","Sub":"alice","exp":%d}`), 401},
		{"/default", with(`{"iss":"iss","ſub":"alice","exp":%d}`), 401},
		{"/default", with(`{"iss":"iss","sub":"alice","sub":"bob","exp":%d}`), 401},
		{"/default", with(`{"iss":"iss","sub":"alice","exp":"%d"}`), 401},
		{"/default", `{"iss":"iss","sub":"alice"}`, 401},
		{"/default", with(`{"iss":"iss","client_id":"a","exp":%d}`), 401},
		{"/programs", with(`{"iss":"iss","client_id":"a","exp":%d}`), 204},
		{"/programs", with(`{"iss":"iss","exp":%d}`), 401},
		{"/anything", `{"iss":"iss"}`, 204},
		{"/typed", with(`{"iss":"iss","sub":"alice","exp":%d}`), 401},
	} {
		r, err := http.NewRequest(http.MethodGet, "http://"+g.Address("public")+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+signedText(c.claims))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s with %s: %d, want %d", c.path, c.claims, resp.StatusCode, c.status)
		}
	}
}

// A client comes back with a new token, as it does after any end of a stream.
func TestEventStreamsEndWithTheTokenThatOpenedThem(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	harness.WriteFile(t, w.Dir, "jwt.key", []byte(harness.Secret))
	w.Route = `  - match: {path: /private}
    auth: {jwt: {hmac_secret_files: [jwt.key], leeway: 0s}}
    mcp: {clusters: [one], sse: {path: /private/sse}}`
	w.MustApply(w.YAML())
	lasting := func(life time.Duration) string {
		return signedText(fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Now().Add(life).Unix()))
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		hc := harness.Client(t, w.CA.PEM(), protocol)
		try := func(method, path, body, token, session string) *http.Response {
			t.Helper()
			r, err := http.NewRequest(method, w.URL(path), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json, text/event-stream")
			r.Header.Set("Authorization", "Bearer "+token)
			if session != "" {
				r.Header.Set("Mcp-Session-Id", session)
			}
			resp, err := hc.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp
		}
		do := func(method, path, body, token, session string) *http.Response {
			t.Helper()
			resp := try(method, path, body, token, session)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s %s over %s: %s", method, path, protocol, resp.Status)
			}
			return resp
		}
		session := do("POST", "/private", harness.Initialize, lasting(time.Hour), "").Header.Get("Mcp-Session-Id")
		streams := map[string]*http.Response{}
		for name, path := range map[string]string{"GET": "/private", "SSE": "/private/sse"} {
			id := map[string]string{"GET": session}[name]
			// A machine that is slow needs a token that lasts longer.
			for life := 2 * time.Second; streams[name] == nil; life *= 2 {
				resp := try("GET", path, "", lasting(life), id)
				if resp.StatusCode != http.StatusUnauthorized || life > 10*time.Second {
					streams[name] = resp
				}
			}
			if resp := streams[name]; resp.StatusCode != http.StatusOK {
				t.Fatalf("GET %s over %s: %s", path, protocol, resp.Status)
			}
		}
		for name, resp := range streams {
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, resp.Body)
				ended <- err
			}()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("%s over %s: the stream ended with %v, want a clean end", name, protocol, err)
				}
			case <-time.After(20 * time.Second):
				resp.Body.Close()
				t.Errorf("%s over %s: the stream outlives its token", name, protocol)
			}
		}
		do("GET", "/private", "", lasting(time.Hour), session)
	}
}
