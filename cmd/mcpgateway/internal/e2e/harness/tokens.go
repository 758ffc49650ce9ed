package harness

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Secret signs tokens; 32 bytes are the least that is accepted.
const Secret = "0123456789abcdef0123456789abcdef"

// Token is one of Secret, good for an hour.
func Token(t testing.TB) string { t.Helper(); return Signed(t, Secret) }

// Signed is a token of that secret.
func Signed(t testing.TB, secret string) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": "mcpgateway", "aud": "mcpgateway-api", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
