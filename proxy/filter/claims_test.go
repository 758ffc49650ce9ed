package filter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// signRaw signs a header and claims as they stand.
func signRaw(header, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, testKeys.secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256"}`

func TestATokenIsReadAsItStands(t *testing.T) {
	a := newAuth(t, &JWTConfig{Issuer: "iss", Audiences: []string{"aud"}, HMACSecretFiles: []config.Secret{secretFile(testKeys.secret)}})
	exp := inAnHour()
	// with puts more members after those of a good token.
	with := func(more string) string {
		return fmt.Sprintf(`{"iss":"iss","aud":"aud","sub":"alice","exp":%d%s}`, exp, more)
	}
	for _, c := range []struct {
		name, header, claims string
		reason               string // "" passes
	}{
		{"a good one", hs256, with(``), ""},
		{"members of other names", hs256, with(`,"ISS":"evil","Sub":"mallory","ſub":"mallory","EXP":1,"AUD":7,"SCOPE":"x"`), ""},
		{"equal names in different objects", hs256, with(`,"a":{"iss":1},"b":[{"iss":2},{"iss":3}],"c":"iss"`), ""},
		{"a surrogate pair", hs256, with(`,"x":"\ud83d\ude00 \\ud800"`), ""},

		{"iss in capitals alone", hs256, fmt.Sprintf(`{"ISS":"iss","aud":"aud","sub":"alice","exp":%d}`, exp), "iss"},
		{"iss, then ISS", hs256, fmt.Sprintf(`{"iss":"evil","ISS":"iss","aud":"aud","sub":"alice","exp":%d}`, exp), "issuer"},
		{"aud, then AUD", hs256, fmt.Sprintf(`{"iss":"iss","aud":"evil","AUD":"aud","sub":"alice","exp":%d}`, exp), "audience"},
		{"exp, then EXP", hs256, fmt.Sprintf(`{"iss":"iss","aud":"aud","sub":"alice","exp":1,"EXP":%d}`, exp), "expired"},
		{"sub with a long s alone", hs256, fmt.Sprintf(`{"iss":"iss","aud":"aud","ſub":"alice","exp":%d}`, exp), "no principal"},
		{"sub twice", hs256, with(`,"sub":"mallory"`), `"sub" twice`},
		{"sub twice, once escaped", hs256, with(`,"\u0073ub":"mallory"`), `"sub" twice`},
		{"a name twice in an object", hs256, with(`,"cnf":{"a":1,"a":2}`), `"a" twice`},
		{"a name twice in a list's object", hs256, with(`,"list":[[],{"a":{},"b":[1],"a":2}]`), `"a" twice`},
		{"half a surrogate pair", hs256, with(`,"x":"\ud83d"`), "surrogate"},
		{"two first halves", hs256, with(`,"x":"\ud83d\ud83d"`), "surrogate"},
		{"bytes that are no UTF-8", hs256, with(",\"x\":\"\xff\""), "UTF-8"},
		{"text after the claims", hs256, with(``) + `{}`, "not JSON"},
		{"a list", hs256, `[]`, "not a JSON object"},
		{"null", hs256, `null`, "not a JSON object"},
		{"sub is a number", hs256, fmt.Sprintf(`{"iss":"iss","aud":"aud","sub":7,"exp":%d}`, exp), "sub is not a string"},
		{"sub is null", hs256, fmt.Sprintf(`{"iss":"iss","aud":"aud","sub":null,"exp":%d}`, exp), "sub is not a string"},
		{"exp is null", hs256, `{"iss":"iss","aud":"aud","sub":"alice","exp":null}`, "exp is not a number"},
		{"nbf is a text", hs256, with(`,"nbf":"1"`), "nbf is not a number"},
		{"aud has a null", hs256, fmt.Sprintf(`{"iss":"iss","aud":["aud",null],"sub":"alice","exp":%d}`, exp), "aud is a list"},
		{"alg twice", `{"alg":"none","alg":"HS256"}`, with(``), `"alg" twice`},
		{"ALG", `{"ALG":"HS256"}`, with(``), "unspecified"},
		{"kid twice", `{"alg":"HS256","kid":"a","kid":"b"}`, with(``), `"kid" twice`},
		{"kid is a number", `{"alg":"HS256","kid":7}`, with(``), "kid is not a string"},
	} {
		got := ask(t, a, "Bearer "+signRaw(c.header, c.claims))
		switch {
		case c.reason == "" && (got.status != http.StatusOK || got.principal.Subject != "alice"):
			t.Errorf("%s: status %d, principal %v, reason %q; want alice", c.name, got.status, got.principal, got.entry.Reason)
		case c.reason != "" && (got.status != http.StatusUnauthorized || !strings.Contains(got.entry.Reason, c.reason)):
			t.Errorf("%s: status %d, principal %v, reason %q; want 401 for %q", c.name, got.status, got.principal, got.entry.Reason, c.reason)
		}
	}
}

func TestScopesAreReadByTheirExactNames(t *testing.T) {
	c, err := readToken(signRaw(hs256, `{"scope":"a","SCOPE":"b","scp":["c"],"Scp":"d"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.scopes, " "); got != "a c" {
		t.Errorf("scopes %q, want a c", got)
	}
}

func TestThePrincipalIsTheFirstClaimThatIsThere(t *testing.T) {
	keys := []config.Secret{secretFile(testKeys.secret)}
	a := newAuth(t, &JWTConfig{PrincipalClaims: []string{"sub", "client_id", "azp"}, HMACSecretFiles: keys})
	principal := func(claims jwt.MapClaims) Principal {
		t.Helper()
		claims["exp"] = inAnHour()
		got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodHS256, testKeys.secret, "", claims))
		if got.status != http.StatusOK {
			t.Fatalf("%v: %d, %s", claims, got.status, got.entry.Reason)
		}
		return got.principal
	}
	user := principal(jwt.MapClaims{"sub": "x", "client_id": "y", "azp": "z"})
	one := principal(jwt.MapClaims{"client_id": "x", "azp": "z"})
	other := principal(jwt.MapClaims{"sub": "", "client_id": "other"})
	azp := principal(jwt.MapClaims{"azp": "x"})
	if user.Subject != "x" || one.Subject != "x" || other.Subject != "other" || azp.Subject != "x" {
		t.Errorf("principals %v, %v, %v, %v", user, one, other, azp)
	}
	keysSeen := map[string]bool{}
	for _, p := range []Principal{user, one, other, azp} {
		keysSeen[p.Key()] = true
	}
	if len(keysSeen) != 4 {
		t.Errorf("four principals have the keys %v", keysSeen)
	}
	if got := one.String(); got != "jwt(client_id):/x" {
		t.Errorf("the log says %q", got)
	}
	for _, claims := range []jwt.MapClaims{{}, {"client_id": 7}, {"sub": "", "client_id": nil}} {
		claims["exp"] = inAnHour()
		if got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodHS256, testKeys.secret, "", claims)); got.status != http.StatusUnauthorized {
			t.Errorf("%v passes as %v", claims, got.principal)
		}
	}
}

func TestWhatATokenNeedsIsConfigured(t *testing.T) {
	keys := []config.Secret{secretFile(testKeys.secret)}
	none := newAuth(t, &JWTConfig{Require: []string{}, HMACSecretFiles: keys})
	id := newAuth(t, &JWTConfig{Require: []string{"jti"}, HMACSecretFiles: keys})
	typed := newAuth(t, &JWTConfig{Types: []string{"at+jwt"}, HMACSecretFiles: keys})
	good := fmt.Sprintf(`{"sub":"alice","exp":%d}`, inAnHour())
	for _, c := range []struct {
		name   string
		auth   *Auth
		token  string
		reason string // "" passes
	}{
		{"nothing is required", none, signRaw(hs256, `{}`), ""},
		{"jti is required", id, signRaw(hs256, `{"jti":"1"}`), ""},
		{"jti is missing", id, signRaw(hs256, good), "no jti"},
		{"jti is null", id, signRaw(hs256, `{"jti":null}`), "no jti"},
		{"typ fits", typed, signRaw(`{"alg":"HS256","typ":"at+jwt"}`, good), ""},
		{"typ fits as a media type", typed, signRaw(`{"alg":"HS256","typ":"application/AT+JWT"}`, good), ""},
		{"typ is another", typed, signRaw(`{"alg":"HS256","typ":"JWT"}`, good), "typ"},
		{"typ is missing", typed, signRaw(hs256, good), "typ"},
		{"Typ is no typ", typed, signRaw(`{"alg":"HS256","Typ":"at+jwt"}`, good), "typ"},
	} {
		got := ask(t, c.auth, "Bearer "+c.token)
		if passes := got.status == http.StatusOK; passes != (c.reason == "") || !strings.Contains(got.entry.Reason, c.reason) {
			t.Errorf("%s: status %d, reason %q; want %q", c.name, got.status, got.entry.Reason, c.reason)
		}
	}
}

// FuzzReadSegment compares readSegment with encoding/json: what it accepts is
// JSON, has the members that stand there, and no two names that differ in case
// or spelling only are taken for one.
func FuzzReadSegment(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"A":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":[{"c":1,"c":2}]}}`, `{"a":"\ud83d"}`, `{"a":"\ud83d\ude00"}`,
		`[]`, `null`, `{"a":1}{}`, "{\"\xff\":1}", `{"s":1,"ſ":2}`, `{"a":"\\ud800"}`, `{"":0}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := readSegment(base64.RawURLEncoding.EncodeToString(data))
		if err != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is accepted", data)
		}
		// A compact form that has lost a member is shorter than what was read.
		var decoded map[string]any
		dec := json.NewDecoder(strings.NewReader(string(data)))
		dec.UseNumber()
		if err := dec.Decode(&decoded); err != nil {
			t.Fatalf("%q is accepted, but %v", data, err)
		}
		if got, want := colons(decoded), strings.Count(withoutStrings(string(data)), ":"); got != want || len(decoded) != members.Len() {
			t.Fatalf("%q is accepted; it has %d members, %d of which encoding/json keeps", data, want, got)
		}
	})
}

// colons counts the members of all objects in v.
func colons(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			n += 1 + colons(member)
		}
	case []any:
		for _, item := range v {
			n += colons(item)
		}
	}
	return n
}

// withoutStrings takes the strings out of valid JSON.
func withoutStrings(s string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case inside && s[i] == '\\':
			i++
		case s[i] == '"':
			inside = !inside
		case !inside:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
