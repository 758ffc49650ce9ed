package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

// maxSetKeys bounds how many signatures one token can make us try.
const maxSetKeys = 100

// parseJWKS reads a JSON Web Key Set. Keys that verify no signature, or that
// are not understood, are left out, as RFC 7517 section 5 says; so are
// symmetric ones: a set is public.
func parseJWKS(data []byte) (keySet, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("parsing the key set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New(`this is no key set: it has no "keys"`)
	}
	if len(*set.Keys) > maxSetKeys {
		return nil, fmt.Errorf("a key set of %d keys; the limit is %d", len(*set.Keys), maxSetKeys)
	}
	keys := keySet{}
	for _, raw := range *set.Keys {
		if k, ok := parseJWK(raw); ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func parseJWK(raw json.RawMessage) (key, bool) {
	var m jwkset.JWKMarshal
	if json.Unmarshal(raw, &m) != nil {
		return key{}, false
	}
	if m.USE != "" && m.USE != jwkset.UseSig {
		return key{}, false
	}
	if len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return key{}, false
	}
	// The certificates beside a key are not looked at, nor fetched: the key
	// is trusted for where it came from.
	m.X5C, m.X5U, m.X5T, m.X5TS256 = nil, "", "", ""
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return key{}, false
	}
	k, err := publicKey(jwk.Key())
	if err != nil {
		return key{}, false
	}
	if m.ALG != "" {
		if !slices.Contains(k.algorithms, string(m.ALG)) {
			return key{}, false
		}
		k.algorithms = []string{string(m.ALG)}
	}
	k.id = m.KID
	return k, true
}
