package filter

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/tls"
)

// AuthTrace is told what an Auth does in the background. Any of its functions
// may be nil; they are called by one goroutine at a time.
type AuthTrace struct {
	// JWKS: the set was fetched, with so many usable keys, or could not be.
	JWKS func(url string, keys int, err error)
}

// Auth decides who may use a route. It holds no per-request state.
type Auth struct {
	jwt  *verifier
	cert *ClientCertConfig
}

// NewAuth prepares the authentication that cfg, which passed Validate, asks
// for. With a JWKS URL it starts a goroutine, which Close ends; a URL that
// does not answer is no error, but until it does its tokens are refused.
func NewAuth(cfg *AuthConfig, trace *AuthTrace) (*Auth, error) {
	a := &Auth{cert: cfg.ClientCert}
	if cfg.JWT != nil {
		v, err := newVerifier(cfg.JWT, trace)
		if err != nil {
			return nil, fmt.Errorf("preparing jwt authentication: %w", err)
		}
		a.jwt = v
	}
	return a, nil
}

// Close ends the background work. Requests may still be authenticated, by the
// keys that are known.
func (a *Auth) Close() {
	if a.jwt != nil {
		a.jwt.remote.close()
	}
}

// Wrap serves by next what passes, with the principal in the request's
// context, and answers 401 to the rest. The answer says what is needed, the
// RequestInfo why it was not met: a hint would help a client that guesses. Of a
// protected resource tokens need its scopes, and a client that is refused learns
// where to get one that has them. A nil resource needs none, and tells nothing.
func (a *Auth) Wrap(next http.Handler, res *Resource) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, refused := a.authenticate(r, res)
		rec := RequestInfoFrom(r.Context())
		if refused != nil {
			rec.SetFlag(FlagUnauthorized)
			rec.SetReason(refused.reason.Error())
			w.Header()["Www-Authenticate"] = []string{refused.challenge}
			WriteError(w, refused.status, refused.code, refused.message)
			return
		}
		rec.SetPrincipal(p)
		next.ServeHTTP(w, r.WithContext(WithPrincipal(r.Context(), p)))
	})
}

// refusal is what the client is told, and why.
type refusal struct {
	status                   int
	challenge, code, message string
	reason                   error
}

// unauthorized is the refusal of who has not shown who it is.
func unauthorized(challenge, message string, reason error) *refusal {
	return &refusal{http.StatusUnauthorized, challenge, string(FlagUnauthorized), message, reason}
}

// challengeCertificate names what no registered scheme does (RFC 9110 section
// 11.6.1).
const challengeCertificate = `ClientCertificate realm="mcpgateway"`

func (a *Auth) authenticate(r *http.Request, res *Resource) (Principal, *refusal) {
	principal := Principal{Kind: Anonymous}
	if a.cert != nil {
		p, err := a.cert.check(r)
		if err != nil {
			return principal, unauthorized(challengeCertificate, "a client certificate is needed that this route accepts", err)
		}
		principal = p
	}
	if a.jwt != nil {
		token, err := bearerToken(r)
		if err == nil && token == "" {
			return principal, unauthorized(res.challenge(""), "a bearer token is needed", errors.New("no bearer token"))
		}
		var p Principal
		var granted []string
		if err == nil {
			p, granted, err = a.jwt.verify(r.Context(), token)
		}
		if err != nil {
			return principal, unauthorized(res.challenge("invalid_token"), "the bearer token is not valid", err)
		}
		if missing := res.missing(granted); len(missing) > 0 {
			return principal, &refusal{http.StatusForbidden, res.challenge("insufficient_scope"), "insufficient_scope",
				"the bearer token lacks a scope", fmt.Errorf("%s: the token lacks %s", p, strings.Join(missing, " "))}
		}
		if a.cert != nil && (p.ExpiresAt.IsZero() || principal.ExpiresAt.Before(p.ExpiresAt)) {
			p.ExpiresAt = principal.ExpiresAt
		}
		principal = p
	}
	return principal, nil
}

// check passes a peer whose certificate the listener verified, and whose name
// is allowed.
func (c *ClientCertConfig) check(r *http.Request) (Principal, error) {
	cert := peerCertificate(r.Context())
	if cert == nil {
		return Principal{}, errors.New("no client certificate")
	}
	allowed := func(pattern string) bool { return tls.MatchName(pattern, cert) }
	if len(c.AllowedNames) > 0 && !slices.ContainsFunc(c.AllowedNames, allowed) {
		return Principal{}, fmt.Errorf("the client certificate of %s is not among allowed_names", tls.PeerName(cert))
	}
	return certificatePrincipal(cert), nil
}

// maxToken bounds a token before anything is decoded.
const maxToken = 8 << 10

// bearerToken returns the token of the Authorization header (RFC 6750 section
// 2.1), or "" when there is none. The other places of that RFC, form and
// query, are not looked at: they end up in logs. Two headers are an error: an
// upstream might read the other one.
func bearerToken(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", errors.New("several Authorization headers")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	token = strings.Trim(token, " ")
	if token == "" {
		return "", errors.New("an empty bearer token")
	}
	if len(token) > maxToken {
		return "", fmt.Errorf("a bearer token of %d bytes; the limit is %d", len(token), maxToken)
	}
	return token, nil
}
