package filter

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// The keys of the tests. RSA ones are costly, so there is one each.
var testKeys = struct {
	rsa, otherRSA *rsa.PrivateKey
	ec            *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
	secret        []byte
}{
	rsa: must(rsa.GenerateKey(rand.Reader, 2048)), otherRSA: must(rsa.GenerateKey(rand.Reader, 2048)),
	ec:     must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
	ed:     ed25519.NewKeyFromSeed([]byte(strings.Repeat("e", 32))),
	secret: []byte(strings.Repeat("s", 64)),
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(key crypto.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))})
}

func file(data []byte) config.File { return config.File{Path: "/secrets/key", Data: data} }

func secretFile(data []byte) config.Secret { return config.Secret{File: file(data)} }

// jwks is the set of public keys, by key id.
func jwks(t testing.TB, keys map[string]crypto.PublicKey) []byte {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	set := struct {
		Keys []map[string]any `json:"keys"`
	}{Keys: []map[string]any{}}
	for id, k := range keys {
		switch k := k.(type) {
		case *rsa.PublicKey:
			set.Keys = append(set.Keys, map[string]any{"kty": "RSA", "kid": id, "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())})
		case *ecdsa.PublicKey:
			raw := must(k.Bytes())
			set.Keys = append(set.Keys, map[string]any{"kty": "EC", "kid": id, "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:])})
		default:
			t.Fatalf("a key of type %T", k)
		}
	}
	return must(json.Marshal(set))
}

// alice are the claims that each token has at least.
func alice() jwt.MapClaims { return jwt.MapClaims{"sub": "alice", "exp": inAnHour()} }

func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

func sign(t testing.TB, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return s
}

func TestKeysServeOnlyAlgorithmsOfTheirType(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	for _, c := range []struct {
		name string
		key  any
		want string
	}{
		{"RSA", &testKeys.rsa.PublicKey, "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"P-256", &testKeys.ec.PublicKey, "ES256"},
		{"Ed25519", testKeys.ed.Public(), "EdDSA"},
		{"short RSA", &small.PublicKey, ""},
		{"P-224", &p224.PublicKey, ""},
		{"bytes", []byte("x"), ""},
	} {
		k, err := publicKey(c.key)
		if got := strings.Join(k.algorithms, " "); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: algorithms %q, error %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestSecretsServeHashesThatTheyAreLongEnoughFor(t *testing.T) {
	for length, want := range map[int]string{31: "", 32: "HS256", 47: "HS256", 48: "HS256 HS384", 64: "HS256 HS384 HS512"} {
		k, err := secretKey(make([]byte, length))
		if got := strings.Join(k.algorithms, " "); got != want || (err == nil) != (want != "") {
			t.Errorf("%d bytes: algorithms %q, error %v; want %q", length, got, err, want)
		}
	}
	if _, err := secretKey(publicPEM(&testKeys.rsa.PublicKey)); err == nil || !strings.Contains(err.Error(), "public_key_files") {
		t.Errorf("a public key as a secret: error %v, want one that names public_key_files", err)
	}
}

func TestPublicKeyFilesAreUnderstood(t *testing.T) {
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(testKeys.rsa))})
	both := append(publicPEM(&testKeys.rsa.PublicKey), publicPEM(testKeys.ed.Public())...)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&testKeys.rsa.PublicKey)})
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(x509.CreateCertificate(rand.Reader, template, template, &testKeys.ec.PublicKey, testKeys.ec))})
	for _, c := range []struct {
		name string
		data []byte
		keys int
		err  string
	}{
		{"two keys", both, 2, ""},
		{"PKCS #1", pkcs1, 1, ""},
		{"certificate", cert, 1, ""},
		{"private key", private, 0, "private key"},
		{"nothing", []byte("hello"), 0, "no PEM block"},
		{"garbage", []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 0, "parsing PUBLIC KEY"},
		{"other", []byte("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n"), 0, "DH PARAMETERS"},
	} {
		keys, err := parsePublicKeys(c.data)
		if len(keys) != c.keys || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %d keys, error %v; want %d, %q", c.name, len(keys), err, c.keys, c.err)
		}
	}
}

func TestKeySetsLeaveOutWhatVerifiesNothing(t *testing.T) {
	good := string(jwks(t, map[string]crypto.PublicKey{"a": &testKeys.ec.PublicKey}))
	with := func(extra string) string { return strings.Replace(good, `"keys":[{`, `"keys":[`+extra+`,{`, 1) }
	for _, c := range []struct {
		name, data string
		keys       int
		ok         bool
	}{
		{"one key", good, 1, true},
		{"empty", `{"keys":[]}`, 0, true},
		{"symmetric", with(`{"kty":"oct","kid":"x","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`), 1, true},
		{"unknown type", with(`{"kty":"XYZ"}`), 1, true},
		{"for encryption", strings.Replace(good, `"kty"`, `"use":"enc","kty"`, 1), 0, true},
		{"to sign, not to verify", strings.Replace(good, `"kty"`, `"key_ops":["sign"],"kty"`, 1), 0, true},
		{"other algorithm", strings.Replace(good, `"kty"`, `"alg":"RS256","kty"`, 1), 0, true},
		{"broken certificate beside it", strings.Replace(good, `"kty"`, `"x5c":["?"],"kty"`, 1), 1, true},
		{"no set", `{"error":"down"}`, 0, false},
		{"no JSON", `<html>`, 0, false},
		{"too many", `{"keys":[` + strings.Repeat(`{},`, maxSetKeys) + `{}]}`, 0, false},
	} {
		keys, err := parseJWKS([]byte(c.data))
		if len(keys) != c.keys || (err == nil) != c.ok {
			t.Errorf("%s: %d keys, error %v; want %d, ok %v", c.name, len(keys), err, c.keys, c.ok)
		}
	}
}

func FuzzJWKS(f *testing.F) {
	f.Add(jwks(f, map[string]crypto.PublicKey{"a": &testKeys.ec.PublicKey, "b": &testKeys.rsa.PublicKey}))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseJWKS(data)
		if err != nil && len(keys) > 0 {
			t.Fatal("keys of a set that is refused")
		}
		for _, k := range keys {
			if len(k.algorithms) == 0 {
				t.Fatal("a key without algorithm")
			}
		}
	})
}
