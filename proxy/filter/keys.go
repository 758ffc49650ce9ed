package filter

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// key verifies tokens. Each key knows the algorithms that it may be used with,
// and is offered for no other: that, and not the token's header, decides
// whether bytes are an HMAC secret or a public key (RFC 8725 section 2.1).
type key struct {
	id         string // the JWK's kid; empty fits any token
	algorithms []string
	value      any
}

// keySet is immutable.
type keySet []key

// find returns the keys that a token with this header may be signed by. A
// token or a key without an id fits all.
func (ks keySet) find(algorithm, id string) []jwt.VerificationKey {
	var found []jwt.VerificationKey
	for _, k := range ks {
		if (k.id == "" || id == "" || k.id == id) && slices.Contains(k.algorithms, algorithm) {
			found = append(found, k.value)
		}
	}
	return found
}

// restrict takes away the algorithms that are not allowed; nil allows all.
func (ks keySet) restrict(allowed []string) keySet {
	if len(allowed) == 0 {
		return ks
	}
	var kept keySet
	for _, k := range ks {
		k.algorithms = slices.DeleteFunc(slices.Clone(k.algorithms), func(a string) bool { return !slices.Contains(allowed, a) })
		if len(k.algorithms) > 0 {
			kept = append(kept, k)
		}
	}
	return kept
}

// symmetric are the algorithms whose keys are secrets.
var symmetric = []string{"HS256", "HS384", "HS512"}

// asymmetric are those whose keys are public.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// leastSecret is how many bytes a secret needs for an algorithm: as many as its hash
// has (RFC 7518 section 3.2).
var leastSecret = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// secretKey makes an HMAC key, for each algorithm that the secret is long enough for.
func secretKey(secret []byte) (key, error) {
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		// A public key is no secret: a client that has it could sign.
		return key{}, errors.New("this is a PEM file, not a secret; public keys belong into public_key_files")
	}
	k := key{value: slices.Clone(secret)}
	for _, algorithm := range symmetric {
		if len(secret) >= leastSecret[algorithm] {
			k.algorithms = append(k.algorithms, algorithm)
		}
	}
	if k.algorithms == nil {
		return key{}, fmt.Errorf("the secret has %d bytes; at least %d are needed", len(secret), leastSecret["HS256"])
	}
	return k, nil
}

// publicKey makes a key of any of the types that x509 and jwkset parse.
func publicKey(value any) (key, error) {
	switch v := value.(type) {
	case *rsa.PublicKey:
		// RFC 7518 section 3.3; the upper bound keeps a foreign key set from
		// making every token expensive.
		if bits := v.N.BitLen(); bits < 2048 || bits > 8192 {
			return key{}, fmt.Errorf("an RSA key of %d bits; 2048 to 8192 are accepted", bits)
		}
		return key{value: v, algorithms: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}, nil
	case *ecdsa.PublicKey:
		if algorithm, ok := map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}[v.Curve]; ok {
			return key{value: v, algorithms: []string{algorithm}}, nil
		}
		return key{}, errors.New("an elliptic curve that no signature algorithm uses")
	case ed25519.PublicKey:
		return key{value: v, algorithms: []string{"EdDSA"}}, nil
	}
	return key{}, fmt.Errorf("a key of type %T, which verifies no token", value)
}
