package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errSealed says nothing more: a value that does not open is foreign, forged
// or too old, and which of these is not told.
var errSealed = errors.New("the value is not one of ours")

// MinStateKey is the least length of a key, in bytes.
const MinStateKey = 32

// sealer encrypts and authenticates what a client holds for us: values that
// would tell it about upstreams, or let it reach what it may not. They hold no
// number of a generation, so that a reload leaves them valid.
type sealer struct {
	// keys are tried in order; the first seals.
	keys atomic.Pointer[[]stateKey]
}

// stateKey is one key, derived for two uses.
type stateKey struct {
	random cipher.AEAD // with a nonce of its own each time
	same   cipher.AEAD // the same cipher, with the nonce that mac makes
	mac    []byte
}

func newStateKey(key []byte) (k stateKey, err error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "mcpgateway state", 32)
	if err != nil {
		return k, err
	}
	if k.mac, err = hkdf.Key(sha256.New, key, nil, "mcpgateway state nonce", 32); err != nil {
		return k, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return k, err
	}
	if k.random, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return k, err
	}
	k.same, err = cipher.NewGCM(block)
	return k, err
}

// newSealer returns a sealer; without keys it has a random one.
func newSealer(keys [][]byte) (*sealer, error) {
	s := new(sealer)
	if len(keys) == 0 {
		random := make([]byte, MinStateKey)
		rand.Read(random)
		keys = [][]byte{random}
	}
	return s, s.use(keys)
}

// use puts other keys in the place of those in use.
func (s *sealer) use(keys [][]byte) error {
	derived := make([]stateKey, len(keys))
	for i, key := range keys {
		if len(key) < MinStateKey {
			return fmt.Errorf("a key of %d bytes; at least %d are needed", len(key), MinStateKey)
		}
		var err error
		if derived[i], err = newStateKey(key); err != nil {
			return fmt.Errorf("derive a key: %w", err)
		}
	}
	s.keys.Store(&derived)
	return nil
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

// expirySize is how much of what is sealed says until when.
const expirySize = 8

// seal seals plain until expires; the zero time is for ever.
func (s *sealer) seal(in scope, plain []byte, expires time.Time) string {
	var until int64
	if !expires.IsZero() {
		until = expires.Unix()
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expirySize+len(plain)), uint64(until)) //nolint:gosec // it comes back as it was
	return base64.RawURLEncoding.EncodeToString((*s.keys.Load())[0].random.Seal(nil, nil, append(b, plain...), in.bytes()))
}

// sealSame seals without end, and the same text each time: for ids that clients
// compare. Its nonce depends on all that is sealed, so that no two values share
// one (the idea of SIV, RFC 5297).
func (s *sealer) sealSame(in scope, plain []byte) string {
	key := &(*s.keys.Load())[0]
	ad := in.bytes()
	plain = append(make([]byte, expirySize, expirySize+len(plain)), plain...)
	mac := hmac.New(sha256.New, key.mac)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(ad))))
	mac.Write(ad)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:key.same.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(key.same.Seal(nonce, nonce, plain, ad))
}

// unseal returns what seal was given. Every error is errSealed.
func (s *sealer) unseal(in scope, text string, now time.Time) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errSealed
	}
	for _, key := range *s.keys.Load() {
		plain, err := key.random.Open(nil, nil, sealed, in.bytes())
		if err != nil || len(plain) < expirySize {
			continue
		}
		until := int64(binary.BigEndian.Uint64(plain)) //nolint:gosec // it was an int64
		if until != 0 && now.Unix() > until {
			return nil, errSealed
		}
		return plain[expirySize:], nil
	}
	return nil, errSealed
}

// UseKeys makes the hub seal with the first of these keys, of at least
// MinStateKey bytes each, and open what any of them has sealed. Without keys it
// keeps those that it has. What was sealed before stays valid as long as its
// key is among them.
func (h *Hub) UseKeys(keys [][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	return h.seal.use(keys)
}
