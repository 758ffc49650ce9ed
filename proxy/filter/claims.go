package filter

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// claims are what is read of a token, its header included. They are read by readToken and by nothing
// else: encoding/json, which the JWT library uses, takes "ISS" for "iss" and the
// last of two members for both (RFC 7519 section 4, RFC 8725 section 2.4).
type claims struct {
	jwt.RegisteredClaims
	scopes []string
	all    jsonrpc.Value // an object

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
	c.critical = header.Get("crit").Exists()
	err = errors.Join(
		readString(header, "alg", &c.algorithm), readString(header, "kid", &c.keyID), readString(header, "typ", &c.typ),
		readString(all, "iss", &c.Issuer), readString(all, "sub", &c.Subject), readAudience(all, &c.Audience),
		readDate(all, "exp", &c.ExpiresAt), readDate(all, "nbf", &c.NotBefore), readDate(all, "iat", &c.IssuedAt),
	)
	if err != nil {
		return nil, err
	}
	c.scopes = append(readScopes(all.Get("scope").Raw()), readScopes(all.Get("scp").Raw())...)
	return c, nil
}

// readScopes reads a string with spaces between the scopes (RFC 8693 section 4.2), or
// a list, as some issuers write it. What is neither grants nothing; a route that
// needs no scope has no reason to refuse it.
func readScopes(member []byte) []string {
	var text string
	var list []string
	if json.Unmarshal(member, &text) == nil {
		return strings.Fields(text)
	} else if json.Unmarshal(member, &list) == nil {
		return list
	}
	return nil
}

// readSegment reads a JSON object that every reader understands alike (RFC 7493).
func readSegment(segment string) (object jsonrpc.Value, err error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return object, fmt.Errorf("decoding the segment: %w", err)
	}
	if object, err = jsonrpc.ParseValue(data); err != nil {
		return object, fmt.Errorf("not JSON in UTF-8: %w", err)
	}
	if object.Kind() != jsonrpc.Object {
		return object, errors.New("not a JSON object")
	}
	if why := object.Ambiguity(); why != "" {
		return object, errors.New(why)
	}
	return object, nil
}

// readString reads the member of that name, which may be absent, into dst. One that
// is no string is an error.
func readString(object jsonrpc.Value, name string, dst *string) error {
	member := object.Get(name)
	if member.Exists() && member.Kind() != jsonrpc.String {
		return fmt.Errorf("the token's %s is not a string", name)
	}
	*dst = member.String()
	return nil
}

// readAudience reads aud, a string or a list of strings.
func readAudience(object jsonrpc.Value, dst *jwt.ClaimStrings) error {
	switch aud := object.Get("aud"); aud.Kind() {
	case jsonrpc.None:
	case jsonrpc.String:
		*dst = jwt.ClaimStrings{aud.String()}
	case jsonrpc.Array:
		for _, item := range aud.Each {
			if item.Kind() != jsonrpc.String {
				return errors.New("the token's aud is a list of other than strings")
			}
			*dst = append(*dst, item.String())
		}
	default:
		return errors.New("the token's aud is neither a string nor a list of strings")
	}
	return nil
}

// latestDate bounds a NumericDate; package time counts seconds without overflow
// well beyond it.
const latestDate = 1 << 53

// readDate reads a NumericDate: a JSON number of seconds, which may have a
// fraction (RFC 7519 section 2). A text that looks like a number is none.
func readDate(object jsonrpc.Value, name string, dst **jwt.NumericDate) error {
	member := object.Get(name)
	if !member.Exists() {
		return nil
	}
	seconds, err := strconv.ParseFloat(string(member.Raw()), 64) // a text begins with a quote
	if err != nil || math.Abs(seconds) > latestDate {
		return fmt.Errorf("the token's %s is not a number of seconds", name)
	}
	whole, fraction := math.Modf(seconds)
	*dst = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
	return nil
}

// has reports whether the token has the claim, and says something by it: null
// and "" say nothing.
func (c *claims) has(name string) bool {
	member := string(c.all.Get(name).Raw())
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
