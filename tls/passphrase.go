package tls

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// errNoPassphrase is what an encrypted key needs.
var errNoPassphrase = errors.New("the private key is encrypted: name the file of its passphrase (key_passphrase_file, or client_key_passphrase_file), or decrypt it with `openssl pkey`")

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
		return nil, errNoPassphrase
	}
	plain := &pem.Block{Type: "PRIVATE KEY"}
	var err error
	if legacy {
		plain.Type = block.Type
		//nolint:staticcheck // weak, and what users have; the key is no safer in plain text
		plain.Bytes, err = x509.DecryptPEMBlock(block, passphrase)
	} else {
		plain.Bytes, err = decryptPKCS8(block.Bytes, passphrase)
	}
	switch {
	case errors.Is(err, x509.IncorrectPasswordError), err == nil && !isStructure(plain.Bytes):
		// Which may cure itself while key and passphrase are being replaced.
		return nil, torn("the private key cannot be decrypted; is the passphrase the right one?")
	case err != nil:
		return nil, fmt.Errorf("the private key cannot be decrypted: its encryption is not supported (%w); convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`", err)
	}
	return plain, nil
}

// isStructure tells a key from what a wrong passphrase makes of it: one time in
// 256 that ends like a key, but it does not begin like one.
func isStructure(data cryptobyte.String) bool {
	return data.SkipASN1(tags.SEQUENCE) && data.Empty()
}
