package seal

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
	"fmt"
	"sync/atomic"
	"time"
)

// MinKey is the least length of a key, in bytes.
const MinKey = 32

// Sealer encrypts and authenticates what a client holds for the gateway: values
// that would tell it about upstreams, or let it reach what it may not. They hold no
// number of a generation, so that a reload leaves them valid. Its methods may be
// called concurrently.
type Sealer struct {
	// keys are tried in order; the first seals.
	keys atomic.Pointer[[]key]
}

// key is one key, derived for two uses.
type key struct {
	random cipher.AEAD // with a nonce of its own each time
	same   cipher.AEAD // the same cipher, with the nonce that mac makes
	mac    []byte
}

func newKey(secret []byte) (k key, err error) {
	derived, err := hkdf.Key(sha256.New, secret, nil, "mcpgateway state", 32)
	if err != nil {
		return k, err
	}
	if k.mac, err = hkdf.Key(sha256.New, secret, nil, "mcpgateway state nonce", 32); err != nil {
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

// New returns a Sealer that seals with the first of these keys, of at least MinKey
// bytes each, and opens what any of them has sealed. Without keys it has a random
// one.
func New(keys [][]byte) (*Sealer, error) {
	s := new(Sealer)
	if len(keys) == 0 {
		random := make([]byte, MinKey)
		rand.Read(random)
		keys = [][]byte{random}
	}
	return s, s.Use(keys)
}

// Use puts other keys in the place of those in use.
func (s *Sealer) Use(keys [][]byte) error {
	derived := make([]key, len(keys))
	for i, key := range keys {
		if len(key) < MinKey {
			return fmt.Errorf("a key of %d bytes; at least %d are needed", len(key), MinKey)
		}
		var err error
		if derived[i], err = newKey(key); err != nil {
			return fmt.Errorf("derive a key: %w", err)
		}
	}
	s.keys.Store(&derived)
	return nil
}

// Scope is what a sealed value is bound to: it opens nowhere else.
type Scope struct {
	Route, Principal, Method string
}

func (s Scope) bytes() []byte { return encode(s) }

// encode returns what is made of strings, integers and booleans as JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // such values always encode
		panic(err)
	}
	return b
}

// expirySize is how much of what is sealed says until when.
const expirySize = 8

// seal seals plain until expires; the zero time is for ever.
func (s *Sealer) seal(in Scope, plain []byte, expires time.Time) string {
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
func (s *Sealer) sealSame(in Scope, plain []byte) string {
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

// open returns what seal or sealSame was given. It reports false for a text that is
// foreign, forged or too old, and does not tell which.
func (s *Sealer) open(in Scope, text string, now time.Time) (plain []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	for _, key := range *s.keys.Load() {
		plain, err := key.random.Open(nil, nil, sealed, in.bytes())
		if err != nil || len(plain) < expirySize {
			continue
		}
		until := int64(binary.BigEndian.Uint64(plain)) //nolint:gosec // it was an int64
		return plain[expirySize:], until == 0 || now.Unix() <= until
	}
	return nil, false
}
