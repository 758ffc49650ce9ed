package filter

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are what is read of a token, its header included. They are read by readToken and by nothing
// else: encoding/json, which the JWT library uses, takes "ISS" for "iss" and the
// last of two members for both (RFC 7519 section 4, RFC 8725 section 2.4).
type claims struct {
	jwt.RegisteredClaims
	scopes []string
	all    map[string]json.RawMessage // by the exact name

	// Of the header: alg, kid and typ, and whether it has crit.
	algorithm, keyID, typ string
	critical              bool
}

// UnmarshalJSON does nothing: readToken has read the claims by the time the
// library offers them.
func (c *claims) UnmarshalJSON([]byte) error { return nil }

// readToken reads the header and the claims of a token whose signature is not
// verified yet. It refuses what two readers could understand differently.
func readToken(raw string) (*claims, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("a token of %d segments; 3 are needed", len(parts))
	}
	header, err := readSegment(parts[0])
	if err != nil {
		return nil, fmt.Errorf("the token's header: %w", err)
	}
	all, err := readSegment(parts[1])
	if err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	c := &claims{all: all}
	_, c.critical = header["crit"]
	err = errors.Join(
		readString(header, "alg", &c.algorithm), readString(header, "kid", &c.keyID), readString(header, "typ", &c.typ),
		readString(all, "iss", &c.Issuer), readString(all, "sub", &c.Subject), readAudience(all, &c.Audience),
		readDate(all, "exp", &c.ExpiresAt), readDate(all, "nbf", &c.NotBefore), readDate(all, "iat", &c.IssuedAt),
	)
	if err != nil {
		return nil, err
	}
	c.scopes = append(readScopes(all["scope"]), readScopes(all["scp"])...)
	return c, nil
}

// readScopes reads a string with spaces between the scopes (RFC 8693 section 4.2), or
// a list, as some issuers write it. What is neither grants nothing; a route that
// needs no scope has no reason to refuse it.
func readScopes(member json.RawMessage) []string {
	var text string
	var list []string
	if json.Unmarshal(member, &text) == nil {
		return strings.Fields(text)
	} else if json.Unmarshal(member, &list) == nil {
		return list
	}
	return nil
}

func readSegment(segment string) (map[string]json.RawMessage, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, fmt.Errorf("decoding the segment: %w", err)
	}
	return strictObject(data)
}

// readString reads the member of that name into dst. A member that is absent
// leaves dst as it is; one that is no string is an error.
func readString(members map[string]json.RawMessage, name string, dst *string) error {
	member, ok := members[name]
	if !ok {
		return nil
	}
	if member[0] != '"' || json.Unmarshal(member, dst) != nil {
		return fmt.Errorf("the token's %s is not a string", name)
	}
	return nil
}

// readAudience reads aud, a string or a list of strings.
func readAudience(members map[string]json.RawMessage, dst *jwt.ClaimStrings) error {
	member, ok := members["aud"]
	if !ok {
		return nil
	}
	var one string
	if readString(members, "aud", &one) == nil {
		*dst = jwt.ClaimStrings{one}
		return nil
	}
	var list []json.RawMessage
	if member[0] != '[' || json.Unmarshal(member, &list) != nil {
		return errors.New("the token's aud is neither a string nor a list of strings")
	}
	for _, item := range list {
		if readString(map[string]json.RawMessage{"aud": item}, "aud", &one) != nil {
			return errors.New("the token's aud is a list of other than strings")
		}
		*dst = append(*dst, one)
	}
	return nil
}

// latestDate bounds a NumericDate; package time counts seconds without overflow
// well beyond it.
const latestDate = 1 << 53

// readDate reads a NumericDate: a JSON number of seconds, which may have a
// fraction (RFC 7519 section 2). A text that looks like a number is none.
func readDate(members map[string]json.RawMessage, name string, dst **jwt.NumericDate) error {
	member, ok := members[name]
	if !ok {
		return nil
	}
	var seconds float64
	if c := member[0]; c != '-' && (c < '0' || c > '9') || json.Unmarshal(member, &seconds) != nil || math.Abs(seconds) > latestDate {
		return fmt.Errorf("the token's %s is not a number of seconds", name)
	}
	whole, fraction := math.Modf(seconds)
	*dst = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
	return nil
}

// has reports whether the token has the claim, and says something by it: null
// and "" say nothing.
func (c *claims) has(name string) bool {
	member := string(c.all[name])
	return member != "" && member != "null" && member != `""`
}

// principal returns whom the token speaks for: the first of the named claims
// that it has. A Principal without a subject stands for every such token of the
// issuer.
func (c *claims) principal(names []string) (Principal, error) {
	p := Principal{Kind: JWT, Issuer: c.Issuer}
	for _, name := range names {
		if !c.has(name) {
			continue
		}
		if err := readString(c.all, name, &p.Subject); err != nil {
			return Principal{}, err
		}
		if name != "sub" {
			p.Claim = name
		}
		break
	}
	return p, nil
}
