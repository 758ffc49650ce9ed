package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// cursorAge is how long a cursor opens. A client walks a list in seconds; one
// that comes back after this starts anew.
const cursorAge = time.Hour

// errCursor says nothing more: a cursor that does not open is foreign, forged
// or too old, and which of these is nobody's business.
var errCursor = errors.New("invalid cursor")

// sealer encrypts and authenticates what a client holds for us: values that
// would tell it about upstreams, or let it reach what it may not.
type sealer struct {
	aead cipher.AEAD
}

// newSealer returns a sealer with a key of 16, 24 or 32 bytes; nil is random.
func newSealer(key []byte) (*sealer, error) {
	if key == nil {
		key = make([]byte, 32)
		rand.Read(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &sealer{aead: aead}, nil
}

// scope is what a sealed value is bound to: it opens nowhere else.
type scope struct {
	Route, Principal, Method string
}

func (s scope) bytes() []byte {
	b, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(err)
	}
	return b
}

// position is where a list continues.
type position struct {
	// Cluster is the one to continue with.
	Cluster string `json:"c"`
	// Page is the upstream's own cursor of the page to continue in; nil is
	// its first page. The empty string is a cursor like any other.
	Page *string `json:"p,omitempty"`
	// Skip is the number of items of that page that were delivered already.
	Skip int `json:"n,omitempty"`
	// Expires is in Unix seconds.
	Expires int64 `json:"x"`
}

func (s *sealer) cursor(in scope, p position, now time.Time) string {
	p.Expires = now.Add(cursorAge).Unix()
	plain, err := json.Marshal(p)
	if err != nil { // strings and integers always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, in.bytes()))
}

func (s *sealer) open(in scope, cursor string, now time.Time) (position, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return position{}, errCursor
	}
	plain, err := s.aead.Open(nil, nil, sealed, in.bytes())
	if err != nil {
		return position{}, errCursor
	}
	var p position
	if err := json.Unmarshal(plain, &p); err != nil || p.Skip < 0 || now.Unix() > p.Expires {
		return position{}, errCursor
	}
	return p, nil
}
