// Command jwt prints a token signed with HS256, for trying a route that is
// protected by auth.jwt.
package main

import (
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	secret := flag.String("secret", "", "file with the secret, at least 32 bytes; one trailing newline is not part of it")
	issuer := flag.String("issuer", "mcpgateway", "claim iss")
	audience := flag.String("audience", "mcpgateway-api", "claim aud")
	subject := flag.String("subject", "demo", "claim sub")
	lifetime := flag.Duration("lifetime", 24*time.Hour, "how long the token is valid")
	flag.Parse()

	token, err := sign(*secret, jwt.RegisteredClaims{
		Issuer:   *issuer,
		Audience: jwt.ClaimStrings{*audience},
		Subject:  *subject,
	}, *lifetime)
	if err != nil {
		fmt.Fprintln(os.Stderr, "jwt:", err)
		os.Exit(1)
	}
	fmt.Println(token)
}

func sign(secretFile string, claims jwt.RegisteredClaims, lifetime time.Duration) (string, error) {
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	secret = bytes.TrimSuffix(secret, []byte("\n"))
	if len(secret) < 32 {
		return "", fmt.Errorf("%s holds %d bytes; HS256 needs at least 32 (RFC 7518 section 3.2)", secretFile, len(secret))
	}
	now := time.Now()
	claims.IssuedAt = jwt.NewNumericDate(now)
	claims.ExpiresAt = jwt.NewNumericDate(now.Add(lifetime))
	claims.ID = rand.Text()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
}
