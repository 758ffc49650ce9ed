package filter

import (
	"context"
	"crypto"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// asked is the outcome of one request behind an Auth.
type asked struct {
	status    int
	challenge string
	body      string
	principal Principal
	entry     *Entry
}

// ask sends a request with these Authorization headers through cfg's Auth.
func ask(t testing.TB, a *Auth, authorization ...string) asked {
	t.Helper()
	var got asked
	h := AccessLog(a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.principal = PrincipalFrom(r.Context())
	}), nil), func(e *Entry) { got.entry = e })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got.status, got.challenge, got.body = w.Code, w.Header().Get("WWW-Authenticate"), w.Body.String()
	return got
}

// newAuth prepares cfg as a file would give it: what it does not set has its
// default.
func newAuth(t testing.TB, cfg *JWTConfig) *Auth {
	t.Helper()
	leeway := cfg.Leeway
	if err := config.Defaults(cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Leeway = leeway
	a, err := NewAuth(&AuthConfig{JWT: cfg}, nil)
	if err != nil {
		t.Fatalf("NewAuth: %v", err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestJWT(t *testing.T) {
	rsaPEM := publicPEM(&testKeys.rsa.PublicKey)
	a := newAuth(t, &JWTConfig{
		Issuer: "mcpgateway", Audiences: []string{"other", "mcpgateway-api"}, Leeway: 30 * time.Second,
		HMACSecretFiles: []config.Secret{secretFile([]byte(strings.Repeat("o", 32))), secretFile(testKeys.secret)},
		PublicKeyFiles:  []config.File{file(rsaPEM), file(publicPEM(&testKeys.ec.PublicKey)), file(publicPEM(testKeys.ed.Public()))},
	})
	now := time.Now()
	claims := func(changes ...any) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "mcpgateway", "aud": "mcpgateway-api", "sub": "alice", "exp": now.Add(time.Hour).Unix()}
		for i := 0; i < len(changes); i += 2 {
			if name := changes[i].(string); changes[i+1] == nil {
				delete(c, name)
			} else {
				c[name] = changes[i+1]
			}
		}
		return c
	}
	hs := func(c jwt.MapClaims) string { return sign(t, jwt.SigningMethodHS256, testKeys.secret, "", c) }
	b64 := base64.RawURLEncoding.EncodeToString
	good := hs(claims())
	parts := strings.Split(good, ".")
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, claims())
	critical.Header["crit"] = []string{"exp"}

	for _, c := range []struct {
		name, token string
		reason      string // "" passes
	}{
		{"HS256", good, ""},
		{"HS256 by the other secret", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("o", 32)), "", claims()), ""},
		{"HS512", sign(t, jwt.SigningMethodHS512, testKeys.secret, "", claims()), ""},
		{"RS256", sign(t, jwt.SigningMethodRS256, testKeys.rsa, "", claims()), ""},
		{"PS256", sign(t, jwt.SigningMethodPS256, testKeys.rsa, "", claims()), ""},
		{"ES256", sign(t, jwt.SigningMethodES256, testKeys.ec, "any", claims()), ""},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, testKeys.ed, "", claims()), ""},
		{"several audiences", hs(claims("aud", []string{"x", "other"})), ""},
		{"exp with a fraction", hs(claims("exp", float64(now.Add(time.Hour).Unix())+0.5)), ""},
		{"expired within leeway", hs(claims("exp", now.Add(-10*time.Second).Unix())), ""},
		{"not before, within leeway", hs(claims("nbf", now.Add(10*time.Second).Unix())), ""},

		{"expired", hs(claims("exp", now.Add(-time.Minute).Unix())), "expired"},
		{"not yet valid", hs(claims("nbf", now.Add(time.Minute).Unix())), "not valid yet"},
		{"issued in the future", hs(claims("iat", now.Add(time.Minute).Unix())), "used before issued"},
		{"wrong issuer", hs(claims("iss", "mcpgateway.evil")), "issuer"},
		{"no issuer", hs(claims("iss", nil)), "iss"},
		{"wrong audience", hs(claims("aud", "mcpgateway")), "audience"},
		{"no audience", hs(claims("aud", nil)), "aud"},
		{"exp is no number", hs(claims("exp", "tomorrow")), "exp is not a number"},
		{"exp is a text of digits", hs(claims("exp", "99999999999")), "exp is not a number"},
		{"exp is beyond all dates", hs(claims("exp", 1e300)), "exp is not a number"},
		{"no exp", hs(claims("exp", nil)), "no exp"},
		{"no sub", hs(claims("sub", nil)), "no principal"},
		{"an empty sub", hs(claims("sub", "")), "no principal"},
		{"no sub, but a client_id", hs(claims("sub", nil, "client_id", "alice")), "no principal"},
		{"wrong secret", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("w", 64)), "", claims()), "signature"},
		{"wrong RSA key", sign(t, jwt.SigningMethodRS256, testKeys.otherRSA, "", claims()), "signature"},
		{"secret too short for HS384 is not offered", sign(t, jwt.SigningMethodHS384, []byte(strings.Repeat("o", 32)), "", claims()), "signature"},
		{"alg none", must(jwt.NewWithClaims(jwt.SigningMethodNone, claims()).SignedString(jwt.UnsafeAllowNoneSignatureType)), "none"},
		{"alg None", b64([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".", "unavailable"},
		{"no alg", b64([]byte(`{}`)) + "." + parts[1] + "." + parts[2], "unspecified"},
		{"public key as HMAC secret", sign(t, jwt.SigningMethodHS256, rsaPEM, "", claims()), "signature"},
		{"other claims under the signature", parts[0] + "." + b64([]byte(`{"iss":"mcpgateway","aud":"mcpgateway-api","sub":"mallory"}`)) + "." + parts[2], "signature"},
		{"critical header", must(critical.SignedString(testKeys.secret)), "critical"},
		{"padded", good + "=", "decode signature"},
		{"two parts", parts[0] + "." + parts[1], "segments"},
		{"four parts", good + ".x", "segments"},
		{"nothing", "", "empty"},
		{"garbage", "garbage", "segments"},
		{"oversized", hs(claims("pad", strings.Repeat("x", maxToken))), "limit"},
	} {
		got := ask(t, a, "Bearer "+c.token)
		if c.reason == "" {
			if got.status != http.StatusOK || got.principal.Key() != (Principal{Kind: JWT, Issuer: "mcpgateway", Subject: "alice"}).Key() {
				t.Errorf("%s: status %d, principal %v, reason %q; want alice", c.name, got.status, got.principal, got.entry.Reason)
			}
			continue
		}
		if got.status != http.StatusUnauthorized || got.challenge != `Bearer realm="mcpgateway", error="invalid_token"` {
			t.Errorf("%s: status %d, challenge %q", c.name, got.status, got.challenge)
		}
		if !strings.Contains(got.entry.Reason, c.reason) || got.entry.Flag != FlagUnauthorized {
			t.Errorf("%s: the log has flag %q, reason %q; want %q", c.name, got.entry.Flag, got.entry.Reason, c.reason)
		}
		if got.body != `{"error":{"code":"unauthorized","message":"the bearer token is not valid"}}`+"\n" {
			t.Errorf("%s: the answer tells %q", c.name, got.body)
		}
	}
}

func TestWithoutTokenTheChallengeNamesNoError(t *testing.T) {
	a := newAuth(t, &JWTConfig{HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}})
	token := sign(t, jwt.SigningMethodHS256, testKeys.secret, "", jwt.MapClaims{"sub": "alice", "exp": inAnHour()})
	for _, header := range [][]string{nil, {"Basic YWxpY2U6c2VjcmV0"}, {"Bearer" + token}} {
		got := ask(t, a, header...)
		if got.status != http.StatusUnauthorized || got.challenge != `Bearer realm="mcpgateway"` {
			t.Errorf("%q: status %d, challenge %q", header, got.status, got.challenge)
		}
	}
	if got := ask(t, a, "bearer "+token); got.status != http.StatusOK {
		t.Errorf("the scheme in lower case: status %d (RFC 9110 section 11.1: case does not matter)", got.status)
	}
	got := ask(t, a, "Bearer "+token, "Bearer "+token)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.entry.Reason, "several") {
		t.Errorf("two headers: status %d, reason %q", got.status, got.entry.Reason)
	}
	r := httptest.NewRequest(http.MethodGet, "/?access_token="+token, nil)
	w := httptest.NewRecorder()
	a.Wrap(http.NotFoundHandler(), nil).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a token in the query: status %d", w.Code)
	}
}

func TestExplicitAlgorithmsExcludeOthers(t *testing.T) {
	a := newAuth(t, &JWTConfig{Algorithms: []string{"RS256"}, PublicKeyFiles: []config.File{file(publicPEM(&testKeys.rsa.PublicKey))}})
	claims := jwt.MapClaims{"sub": "alice", "exp": inAnHour()}
	if got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodRS256, testKeys.rsa, "", claims)); got.status != http.StatusOK {
		t.Errorf("RS256: status %d, %s", got.status, got.entry.Reason)
	}
	if got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodPS256, testKeys.rsa, "", claims)); got.status != http.StatusUnauthorized {
		t.Errorf("PS256: status %d", got.status)
	}
}

func TestExpiryOfTheTokenIsKnownToStreams(t *testing.T) {
	a := newAuth(t, &JWTConfig{Leeway: time.Minute, HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}})
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodHS256, testKeys.secret, "", jwt.MapClaims{"sub": "alice", "exp": exp.Unix()}))
	if want := exp.Add(time.Minute); !got.principal.ExpiresAt.Equal(want) {
		t.Errorf("the principal expires at %v, want %v", got.principal.ExpiresAt, want)
	}
}

func TestKeySetFileVerifiesByKeyID(t *testing.T) {
	set := jwks(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey, "two": &testKeys.otherRSA.PublicKey})
	a := newAuth(t, &JWTConfig{JWKS: JWKSConfig{File: file(set)}})
	for _, c := range []struct {
		kid  string
		want int
	}{{"one", 200}, {"", 200}, {"two", 401}, {"three", 401}} {
		if got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodRS256, testKeys.rsa, c.kid, alice())); got.status != c.want {
			t.Errorf("kid %q: status %d, %s; want %d", c.kid, got.status, got.entry.Reason, c.want)
		}
	}
}

func TestPrincipalsOfCleverIssuersDiffer(t *testing.T) {
	a := Principal{Kind: JWT, Issuer: "a", Subject: "b:c"}
	b := Principal{Kind: JWT, Issuer: "a:b", Subject: "c"}
	if a.Key() == b.Key() {
		t.Errorf("%v and %v have the key %q", a, b, a.Key())
	}
	if got := PrincipalFrom(context.Background()); got.Kind != Anonymous || got.Key() != "anonymous" || got.String() != "anonymous" {
		t.Errorf("no principal is %v", got)
	}
}

func FuzzBearerToken(f *testing.F) {
	a := newAuth(f, &JWTConfig{HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}, PublicKeyFiles: []config.File{file(publicPEM(testKeys.ed.Public()))}})
	f.Add("Bearer " + sign(f, jwt.SigningMethodHS256, []byte("another secret of some length here"), "", jwt.MapClaims{"exp": 1}))
	f.Add("Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.")
	f.Fuzz(func(t *testing.T, header string) {
		if got := ask(t, a, header); got.status != http.StatusUnauthorized {
			t.Fatalf("%q passes as %v", header, got.principal)
		}
	})
}
