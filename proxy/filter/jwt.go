package filter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// verifier verifies the tokens of one JWTConfig.
type verifier struct {
	config *JWTConfig
	parser *jwt.Parser
	types  []string // in the form of mediaType
	local  keySet
	remote *remoteSet // nil without a JWKS URL
}

func newVerifier(cfg *JWTConfig, trace *AuthTrace) (*verifier, error) {
	var err error
	local := cfg.localKeys(func(_, file string, broken error) { err = cmp.Or(err, fmt.Errorf("%s: %w", file, broken)) })
	if err != nil {
		return nil, err
	}
	v := &verifier{config: cfg, local: local.restrict(cfg.Algorithms)}
	for _, typ := range cfg.Types {
		v.types = append(v.types, mediaType(typ))
	}
	algorithms := cfg.Algorithms
	if len(algorithms) == 0 {
		algorithms = slices.Concat(symmetric, asymmetric)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms),
		jwt.WithLeeway(cfg.Leeway),
		jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if len(cfg.Audiences) > 0 {
		options = append(options, jwt.WithAudience(cfg.Audiences...))
	}
	v.parser = jwt.NewParser(options...)
	if cfg.JWKS.URL != "" {
		if v.remote, err = newRemoteSet(&cfg.JWKS, cfg.Algorithms, trace); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// verify returns whom the token speaks for, and its scopes. A token that needs a
// key which the JWKS URL did not have so far waits, bounded, for one more fetch.
func (v *verifier) verify(ctx context.Context, raw string) (Principal, []string, error) {
	claims, err := readToken(raw)
	if err != nil {
		return Principal{}, nil, err
	}
	seen := v.remote.fetches()
	err = v.verifySignature(raw, claims)
	// The number is read again after the rest: a fetch may end in between.
	if v.remote != nil && keyMissing(err) && (!v.remote.has(claims) && v.remote.await(ctx) || v.remote.fetches() != seen) {
		err = v.verifySignature(raw, claims)
	}
	if err != nil {
		if v.remote != nil && keyMissing(err) && v.remote.failure() != nil {
			err = fmt.Errorf("%w; the key set is not up to date: %w", err, v.remote.failure())
		}
		return Principal{}, nil, err
	}
	p, err := v.judge(claims)
	if err != nil {
		return Principal{}, nil, err
	}
	if claims.ExpiresAt != nil {
		p.ExpiresAt = claims.ExpiresAt.Add(v.config.Leeway)
	}
	return p, claims.scopes, nil
}

// verifySignature verifies the token that c was read of, and the claims that
// package jwt knows: its dates, issuer and audience.
func (v *verifier) verifySignature(raw string, c *claims) error {
	_, err := v.parser.ParseWithClaims(raw, c, func(*jwt.Token) (any, error) { return v.keysFor(c) })
	return err
}

// judge asks of verified claims what the configuration does, and returns whom
// they speak for.
func (v *verifier) judge(c *claims) (Principal, error) {
	if len(v.types) > 0 && !slices.Contains(v.types, mediaType(c.typ)) {
		return Principal{}, fmt.Errorf("the token's typ is %.64q, which is not among types", c.typ)
	}
	p, err := c.principal(v.config.PrincipalClaims)
	if err != nil {
		return Principal{}, err
	}
	for _, name := range v.config.Require {
		if name == "sub" && p.Subject == "" {
			return Principal{}, fmt.Errorf("the token names no principal; it needs one of %s", strings.Join(v.config.PrincipalClaims, ", "))
		}
		if name != "sub" && !c.has(name) {
			return Principal{}, fmt.Errorf("the token has no %s, which is required", name)
		}
	}
	return p, nil
}

// mediaType is the canonical form of a typ: media types have no case, and typ
// may leave "application/" away (RFC 7515 section 4.1.9).
func mediaType(typ string) string {
	typ = strings.ToLower(typ)
	if rest, ok := strings.CutPrefix(typ, "application/"); ok && !strings.Contains(rest, "/") {
		return rest
	}
	return typ
}

// errNoKey: nothing that we have may verify such a token.
var errNoKey = errors.New("no key fits the token's algorithm and key id")

// keysFor offers the keys that the token's header may choose from. The parser
// has checked by now that the algorithm is an accepted one; "none" never is.
func (v *verifier) keysFor(c *claims) (any, error) {
	// An issuer that sets crit demands that it be understood, and nothing is (RFC
	// 7515 section 4.1.11).
	if c.critical {
		return nil, errors.New("the token has critical header parameters, which are not supported")
	}
	keys := v.local.find(c.algorithm, c.keyID)
	if v.remote != nil {
		keys = append(keys, v.remote.keys().find(c.algorithm, c.keyID)...)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w (alg %.16q, kid %.64q)", errNoKey, c.algorithm, c.keyID)
	}
	return jwt.VerificationKeySet{Keys: keys}, nil
}

// keyMissing reports whether another key could have made the difference.
func keyMissing(err error) bool {
	return errors.Is(err, errNoKey) || errors.Is(err, jwt.ErrTokenSignatureInvalid)
}
