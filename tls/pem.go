package tls

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// minRSA is what crypto/rsa signs with.
const minRSA = 1024

// tornError is a fault that is seen while a program replaces a file, and that
// may be gone a moment later.
type tornError struct{ error }

func (e tornError) Unwrap() error { return e.error }

func torn(format string, args ...any) error { return tornError{fmt.Errorf(format, args...)} }

// isTorn reports whether err may cure itself: a file that is empty or ends in the
// middle, a certificate whose key has not been written yet. A caller that read
// the files reads them again before it gives up.
func isTorn(err error) bool {
	var t tornError
	return errors.As(err, &t)
}

// chainOf is every certificate of a PEM file.
func chainOf(f config.File) ([]*x509.Certificate, error) {
	return config.ParseOnce(func() ([]*x509.Certificate, error) { return parseCertificates(f.Data) }, f)
}

// keyOf is the private key of a PEM file.
func keyOf(f, passphrase config.Secret) (crypto.Signer, error) {
	return config.ParseOnce(func() (crypto.Signer, error) { return parseKey(f.Data, passphrase.Data) }, f.File, passphrase.File)
}

// parseCertificates reads every certificate of a PEM file.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	isCertificate := func(kind string) bool { return kind == "CERTIFICATE" }
	err := eachBlock(data, "certificate", isCertificate, func(block *pem.Block) error {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d of the file: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
		return nil
	})
	return certs, err
}

// parseKey reads the private key of a PEM file. Other blocks, such as the EC
// PARAMETERS that openssl writes first, are passed over.
func parseKey(data, passphrase []byte) (crypto.Signer, error) {
	var key crypto.Signer
	isKey := func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }
	err := eachBlock(data, "private key", isKey, func(block *pem.Block) (err error) {
		if key == nil {
			key, err = parseKeyBlock(block, passphrase)
		}
		return err
	})
	return key, err
}

func parseKeyBlock(block *pem.Block, passphrase []byte) (crypto.Signer, error) {
	block, err := decrypt(block, passphrase)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a key of kind %q cannot be used", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return usableKey(key)
}

// usableKey refuses what crypto/tls would refuse at each handshake.
func usableKey(key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("private key: RSA of %d bits is too short to sign with; TLS takes %d, and 2048 or more are wanted", bits, minRSA)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return key, nil
		}
		return nil, fmt.Errorf("private key: TLS 1.3 does not sign with the curve %s, but with P-256, P-384 and P-521", key.Params().Name)
	case ed25519.PrivateKey:
		return key, nil
	default:
		return nil, fmt.Errorf("private key: TLS cannot use a %T", key)
	}
}

// eachBlock calls f for the PEM blocks of a kind that is sought. Where there is none,
// the error names what is missing, and the kinds that there are.
func eachBlock(data []byte, missing string, sought func(kind string) bool, f func(*pem.Block) error) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return torn("the file is empty")
	}
	var found bool
	var others []string
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		if !sought(block.Type) {
			others = append(others, strconv.Quote(block.Type))
			continue
		}
		found = true
		if err := f(block); err != nil {
			return err
		}
	}
	switch {
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return torn("the file is cut off, or damaged, within a PEM block")
	case found:
		return nil
	case len(others) > 0:
		return fmt.Errorf("the file holds no %s, but %s", missing, strings.Join(others[:min(len(others), 4)], ", "))
	case data[0] == 0x30:
		return errors.New("the file is DER; PEM is wanted: convert it with `openssl x509 -inform DER` or `openssl pkey -inform DER`")
	}
	return errors.New("the file is not PEM")
}
