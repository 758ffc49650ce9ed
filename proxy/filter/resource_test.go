package filter

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestAProtectedResourceSaysWhatItNeeds(t *testing.T) {
	a := newAuth(t, &JWTConfig{HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}})
	res := &Resource{URL: "https://x.example/mcp", Scopes: []string{"read", "write"}}
	const where = `resource_metadata="https://x.example/.well-known/oauth-protected-resource/mcp", scope="read write"`
	token := func(claims jwt.MapClaims) string {
		claims["sub"], claims["exp"] = "alice", inAnHour()
		return "Bearer " + sign(t, jwt.SigningMethodHS256, testKeys.secret, "", claims)
	}
	for _, c := range []struct {
		name, authorization string
		status              int
		challenge           string
	}{
		{"none", "", 401, "Bearer " + where},
		{"garbage", "Bearer garbage", 401, `Bearer error="invalid_token", ` + where},
		{"no scope", token(jwt.MapClaims{}), 403, `Bearer error="insufficient_scope", ` + where},
		{"one scope", token(jwt.MapClaims{"scope": "write"}), 403, `Bearer error="insufficient_scope", ` + where},
		{"a longer scope", token(jwt.MapClaims{"scope": "readwrite read-all writes"}), 403, `Bearer error="insufficient_scope", ` + where},
		{"no such form", token(jwt.MapClaims{"scope": map[string]bool{"read": true}}), 403, `Bearer error="insufficient_scope", ` + where},
		{"scope", token(jwt.MapClaims{"scope": "other write read"}), 200, ""},
		{"scp as a string", token(jwt.MapClaims{"scp": "read write"}), 200, ""},
		{"scp as a list", token(jwt.MapClaims{"scp": []string{"read", "write"}}), 200, ""},
		{"one of each", token(jwt.MapClaims{"scp": []string{"read"}, "scope": "write"}), 200, ""},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if c.authorization != "" {
			r.Header.Set("Authorization", c.authorization)
		}
		w := httptest.NewRecorder()
		a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), res).ServeHTTP(w, r)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != c.status || got != c.challenge {
			t.Errorf("%s: %d %s", c.name, w.Code, got)
		}
	}
	if got := ask(t, a, token(jwt.MapClaims{"scope": 7})); got.status != http.StatusOK {
		t.Errorf("a route without resource minds a token's scope: %d", got.status)
	}
}
