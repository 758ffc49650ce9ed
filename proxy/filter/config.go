package filter

import (
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// AuthConfig is the block auth of a route. With jwt alone a valid token is
// needed, with client_cert alone a verified client certificate, with both,
// both: a token beside a certificate narrows the access, it never widens it.
// The principal is then the token's.
type AuthConfig struct {
	JWT        *JWTConfig        `yaml:"jwt" doc:"A bearer token is needed."`
	ClientCert *ClientCertConfig `yaml:"client_cert" doc:"A verified client certificate is needed, beside the token where jwt stands too."`
}

// JWTConfig says which tokens are accepted (RFC 7519, RFC 8725).
type JWTConfig struct {
	Issuer          string          `yaml:"issuer" example:"mcpgateway" doc:"The token's iss. Empty: any issuer that the keys belong to."`
	Audiences       []string        `yaml:"audiences" example:"[mcpgateway-api]" doc:"The token's aud must name one of them. Empty: aud is not looked at."`
	Algorithms      []string        `yaml:"algorithms" enum:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Accepted signature algorithms. Default: those that fit the keys."`
	Leeway          time.Duration   `yaml:"leeway" default:"30s" min:"0s" max:"10m" doc:"Clock difference allowed in exp, nbf and iat."`
	Require         []string        `yaml:"require" default:"[exp, sub]" doc:"Claims that a token must have. Without exp a token never expires; sub is met by any of principal_claims."`
	PrincipalClaims []string        `yaml:"principal_claims" default:"[sub]" doc:"The first of them that a token has names its principal, e.g. [sub, client_id, azp] for an issuer that gives programs no sub."`
	Types           []string        `yaml:"types" example:"[at+jwt]" doc:"The token's typ must be one of them (RFC 9068). Empty: typ is not looked at."`
	HMACSecretFiles []config.Secret `yaml:"hmac_secret_files" doc:"Secrets of at least 32 bytes each; several while rotating."`
	PublicKeyFiles  []config.File   `yaml:"public_key_files" doc:"PEM files of public keys or certificates; several while rotating."`
	JWKS            JWKSConfig      `yaml:"jwks" doc:"A JSON Web Key Set (RFC 7517)."`
}

// JWKSConfig names a key set, by file, by URL or both.
type JWKSConfig struct {
	File    config.File   `yaml:"file" doc:"A file that holds the set."`
	URL     string        `yaml:"url" example:"https://idp.example.com/.well-known/jwks.json" doc:"Where the set is fetched from. A URL that is down delays no start and no reload."`
	CACert  config.File   `yaml:"ca_cert" doc:"Trust for the URL. Default: system roots."`
	Refresh time.Duration `yaml:"refresh" default:"1h" min:"1s" doc:"How often the URL is fetched; an unknown key id fetches at once, at most every 10s."`
}

// ClientCertConfig says which peers are accepted. The listener's client_auth
// verifies them.
type ClientCertConfig struct {
	AllowedNames []string `yaml:"allowed_names" example:"[\"spiffe://td/*\"]" doc:"DNS, email, IP or URI SANs. Empty: any certificate that the listener verified."`
}
