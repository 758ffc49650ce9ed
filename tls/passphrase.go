package tls

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/youmark/pkcs8"
)

// decrypt turns an encrypted key into a plain one. There are two forms: the one
// of RFC 1421 section 4.6.1.1, which older tools write, and PKCS #8 (RFC 5958
// section 3). A plain key is returned as it is, whatever the passphrase.
func decrypt(block *pem.Block, passphrase []byte) (*pem.Block, error) {
	legacy := strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	if !legacy && block.Type != "ENCRYPTED PRIVATE KEY" {
		return block, nil
	}
	// An editor on Windows ends the line with two characters.
	passphrase = bytes.TrimSuffix(passphrase, []byte("\r"))
	if len(passphrase) == 0 {
		return nil, errors.New("the private key is encrypted: name the file of its passphrase (key_passphrase_file, or client_key_passphrase_file), or decrypt it with `openssl pkey`")
	}
	if legacy {
		//nolint:staticcheck // weak, and what users have; the key is no safer in plain text
		der, err := x509.DecryptPEMBlock(block, passphrase)
		if err != nil {
			return nil, wrongPassphrase(err)
		}
		return &pem.Block{Type: block.Type, Bytes: der}, nil
	}
	key, _, err := pkcs8.ParsePrivateKey(block.Bytes, passphrase)
	if err != nil {
		return nil, wrongPassphrase(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, nil
}

// wrongPassphrase may cure itself while key and passphrase are being replaced.
func wrongPassphrase(err error) error {
	return torn("the private key cannot be decrypted; is the passphrase the right one? (%w)", err)
}
