package filter

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// localKeys returns the keys of files. broken is told which file of which field
// holds none, and why.
func (c *JWTConfig) localKeys(broken func(field, file string, err error)) keySet {
	var keys keySet
	add := func(field, kind string, f config.File, found keySet, err error) {
		if err != nil {
			broken(field, kind+" "+f.Path, err)
			return
		}
		keys = append(keys, found...)
	}
	for i, f := range c.HMACSecretFiles {
		k, err := secretKey(f.Data)
		add(fmt.Sprintf("hmac_secret_files[%d]", i), "hmac secret", f.File, keySet{k}, err)
	}
	for i, f := range c.PublicKeyFiles {
		found, err := publicKeysOf(f)
		add(fmt.Sprintf("public_key_files[%d]", i), "public key", f, keySet(found), err)
	}
	if !c.JWKS.File.IsZero() {
		found, err := jwksOf(c.JWKS.File)
		add("jwks.file", "key set", c.JWKS.File, keySet(found), err)
	}
	return keys
}

// The keys of a file, by its form: each is a type for config.ParseOnce.
type (
	publicKeys keySet
	jwkSet     keySet
)

func publicKeysOf(f config.File) (publicKeys, error) {
	return config.ParseOnce(func() (publicKeys, error) {
		keys, err := parsePublicKeys(f.Data)
		return publicKeys(keys), err
	}, f)
}

func jwksOf(f config.File) (jwkSet, error) {
	return config.ParseOnce(func() (jwkSet, error) {
		keys, err := parseJWKS(f.Data)
		if err == nil && len(keys) == 0 {
			err = errors.New("the key set has no key that verifies signatures")
		}
		return jwkSet(keys), err
	}, f)
}

// parsePublicKeys reads a PEM file of public keys and certificates.
func parsePublicKeys(data []byte) (keySet, error) {
	var keys keySet
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		var value any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			value, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			value, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				value = cert.PublicKey
			}
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("this is a private key, which only the issuer may have; give its public key")
		default:
			return nil, fmt.Errorf("a PEM block %q; PUBLIC KEY or CERTIFICATE is needed", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", block.Type, err)
		}
		k, err := publicKey(value)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block; PUBLIC KEY or CERTIFICATE is needed")
	}
	return keys, nil
}
