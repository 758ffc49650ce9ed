package tls

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
)

// encrypted is a key as PKCS #8 has it, with what a test wants to be wrong.
type encrypted struct {
	salt          []byte
	rounds        int
	lanes         int // of scrypt, in place of PBKDF2
	iv, content   []byte
	trailing      []byte
	cipher, outer asn1.ObjectIdentifier
}

func (e encrypted) block(t testing.TB) *pem.Block {
	t.Helper()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	algorithm := func(id asn1.ObjectIdentifier, params any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: marshal(params)}}
	}
	derivation := algorithm(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, struct {
		Salt   []byte
		Rounds int
	}{e.salt, e.rounds})
	if e.lanes != 0 {
		derivation = algorithm(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}, scryptParams{Salt: e.salt, Cost: e.rounds, Block: 8, Lanes: e.lanes})
	}
	scheme := algorithm(e.outer, pbes2Params{derivation, algorithm(e.cipher, e.iv)})
	return &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: append(marshal(encryptedKey{scheme, e.content}), e.trailing...)}
}

// A reload must not end the process, nor hold it up, whatever a file holds.
func TestADamagedEncryptedKeyIsAnErrorWhateverItAsksFor(t *testing.T) {
	good := func() encrypted {
		return encrypted{
			salt: []byte("salt"), rounds: 1, iv: make([]byte, 16), content: make([]byte, 32),
			cipher: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, outer: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13},
		}
	}
	for name, change := range map[string]func(*encrypted){
		"content that is cut":    func(e *encrypted) { e.content = e.content[:31] },
		"no content":             func(e *encrypted) { e.content = nil },
		"IV of another length":   func(e *encrypted) { e.iv = e.iv[:8] },
		"no rounds":              func(e *encrypted) { e.rounds = 0 },
		"negative rounds":        func(e *encrypted) { e.rounds = -1 },
		"rounds without end":     func(e *encrypted) { e.rounds = 1<<31 - 1 },
		"no lanes":               func(e *encrypted) { e.lanes, e.rounds = -1, 16 },
		"lanes without end":      func(e *encrypted) { e.lanes, e.rounds = 1<<20, 16 },
		"more memory than there": func(e *encrypted) { e.lanes, e.rounds = 1, 1<<30 },
		"a cost of no meaning":   func(e *encrypted) { e.lanes, e.rounds = 1, 15 },
		"unknown cipher":         func(e *encrypted) { e.cipher[8] = 6 }, // AES-128-GCM
		"unknown scheme":         func(e *encrypted) { e.outer[6] = 10 },
		"something behind it":    func(e *encrypted) { e.trailing = []byte{0} },
	} {
		e := good()
		change(&e)
		if _, err := decrypt(e.block(t), []byte("secret")); err == nil || isTorn(err) || !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	e := good()
	if _, err := decrypt(e.block(t), []byte("secret")); !isTorn(err) {
		t.Errorf("content that is no key: got %v, want the passphrase to be doubted", err)
	}
}

func FuzzDecryptPKCS8(f *testing.F) {
	aes := encrypted{
		salt: []byte("salt"), rounds: 2, iv: make([]byte, 16), content: make([]byte, 32),
		cipher: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, outer: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13},
	}
	f.Add(aes.block(f).Bytes, []byte("secret"))
	des := aes
	des.iv, des.lanes, des.cipher = des.iv[:8], 1, asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	f.Add(des.block(f).Bytes, []byte(""))
	f.Fuzz(func(t *testing.T, der, passphrase []byte) {
		plain, err := decryptPKCS8(der, passphrase)
		if err != nil && plain != nil {
			t.Error("an error, and a key")
		}
		if err == nil && len(plain) >= len(der) {
			t.Error("a key longer than what it was made from")
		}
	})
}
