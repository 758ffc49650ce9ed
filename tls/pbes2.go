package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// What a file may ask for before it is known to be ours: OpenSSL writes 2048
// rounds, or 16 MiB, and recommendations are below a tenth of this.
const (
	maxRounds      = 1 << 22
	maxScryptCost  = 1 << 20 // of N times r, in units of 128 bytes
	maxScryptLanes = 16
)

// The structures of RFC 5958 section 3, RFC 8018 appendix A and RFC 7914
// section 7.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		Derivation, Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt      []byte
		Rounds    int
		KeyLength int                      `asn1:"optional"`
		Hash      pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	scryptParams struct {
		Salt               []byte
		Cost, Block, Lanes int
		KeyLength          int `asn1:"optional"`
	}
)

// blockCipher is one in CBC mode.
type blockCipher struct {
	keyLength int
	new       func(key []byte) (cipher.Block, error)
}

// blockCiphers are by their identifiers.
var blockCiphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// macHashes are the hashes of HMAC by its identifiers; SHA-1 is meant where there is
// none.
var macHashes = map[string]func() hash.Hash{
	"":                    sha1.New,
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

// decryptPKCS8 decrypts what PBES2 has encrypted (RFC 8018 section 6.2). The
// error is x509.IncorrectPasswordError where the passphrase is the wrong one.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var key encryptedKey
	var params pbes2Params
	if err := unmarshal(der, &key); err != nil {
		return nil, err
	}
	if id := key.Algorithm.Algorithm.String(); id != "1.2.840.113549.1.5.13" {
		return nil, fmt.Errorf("scheme %s, not PBES2", id)
	}
	if err := unmarshal(key.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	c, ok := blockCiphers[params.Cipher.Algorithm.String()]
	if !ok {
		return nil, fmt.Errorf("cipher %s", params.Cipher.Algorithm)
	}
	var iv []byte
	if err := unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	secret, err := derive(&params.Derivation, passphrase, c.keyLength)
	if err != nil {
		return nil, err
	}
	block, err := c.new(secret)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(key.Data) == 0 || len(key.Data)%size != 0 {
		return nil, errors.New("damaged")
	}
	plain := make([]byte, len(key.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, key.Data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > size || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, x509.IncorrectPasswordError
	}
	return plain[:len(plain)-padding], nil
}

// derive makes the key of the cipher from the passphrase.
func derive(with *pkix.AlgorithmIdentifier, passphrase []byte, length int) ([]byte, error) {
	switch id := with.Algorithm.String(); id {
	case "1.2.840.113549.1.5.12":
		var p pbkdf2Params
		if err := unmarshal(with.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		newHash := macHashes[p.Hash.Algorithm.String()]
		switch {
		case newHash == nil:
			return nil, fmt.Errorf("PBKDF2 with %s", p.Hash.Algorithm)
		case p.Rounds < 1 || p.Rounds > maxRounds:
			return nil, fmt.Errorf("PBKDF2 in %d rounds", p.Rounds)
		case p.KeyLength != 0 && p.KeyLength != length:
			return nil, fmt.Errorf("PBKDF2 to %d bytes", p.KeyLength)
		}
		return pbkdf2.Key(newHash, string(passphrase), p.Salt, p.Rounds, length)
	case "1.3.6.1.4.1.11591.4.11":
		var p scryptParams
		if err := unmarshal(with.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		switch {
		case p.Cost < 1 || p.Block < 1 || p.Lanes < 1 || p.Block > maxScryptCost || p.Cost > maxScryptCost/p.Block || p.Lanes > maxScryptLanes:
			return nil, fmt.Errorf("scrypt of N=%d, r=%d, p=%d", p.Cost, p.Block, p.Lanes)
		case p.KeyLength != 0 && p.KeyLength != length:
			return nil, fmt.Errorf("scrypt to %d bytes", p.KeyLength)
		}
		return scrypt.Key(passphrase, p.Salt, p.Cost, p.Block, p.Lanes, length)
	default:
		return nil, fmt.Errorf("key derivation %s", id)
	}
}

// unmarshal takes a value that is the whole of der.
func unmarshal(der []byte, value any) error {
	rest, err := asn1.Unmarshal(der, value)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing data")
	}
	if err != nil {
		return fmt.Errorf("malformed: %w", err)
	}
	return nil
}
