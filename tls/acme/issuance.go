package acme

import (
	"bytes"
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/caddyserver/certmagic"
)

// probeSize is more than the files of a certificate take.
const probeSize = 64 << 10

// issuance is what an order yields, as it is stored.
type issuance struct {
	chain, key, meta []byte
	held             *held
}

// obtain has certmagic order a certificate for a new key.
func (a *account) obtain(ctx context.Context, name string) (*issuance, error) {
	files := new(memoryStorage)
	magic := certmagic.New(a.cache, certmagic.Config{
		Issuers:    []certmagic.Issuer{a},
		Storage:    files,
		DisableARI: true, // the renewers decide what is due
		Logger:     a.zap,
	})
	if err := magic.ObtainCertSync(ctx, name); err != nil {
		return nil, err
	}
	i := &issuance{
		chain: files.get(certmagic.StorageKeys.SiteCert(a.issuerKey, name)),
		key:   files.get(certmagic.StorageKeys.SitePrivateKey(a.issuerKey, name)),
		meta:  files.get(certmagic.StorageKeys.SiteMeta(a.issuerKey, name)),
	}
	cert, err := parsePair(name, i.chain, i.key)
	if err != nil {
		return nil, fmt.Errorf("%s issued what does not fit: %w", a.directory, err)
	}
	i.held = &held{tls: cert, renewal: parseRenewalInfo(i.meta)}
	return i, nil
}

// parsePair reads a certificate with its key, which must be for a name.
func parsePair(name string, chain, key []byte) (*cryptotls.Certificate, error) {
	cert, err := cryptotls.X509KeyPair(chain, key)
	if err != nil {
		return nil, err
	}
	return &cert, cert.Leaf.VerifyHostname(name)
}

// save stores a certificate. All of it is on the disk before any of it replaces
// what is there: a disk that fills up does not leave the key of one certificate
// beside the chain of another.
func (s *store) save(name string, i *issuance) error {
	return s.storage.do(context.Background(), "write", certmagic.StorageKeys.SiteCert(s.issuerKey, name), func() error { return s.saveFiles(name, i) })
}

func (s *store) saveFiles(name string, i *issuance) (err error) {
	files := []struct {
		key  string
		data []byte
	}{
		{certmagic.StorageKeys.SitePrivateKey(s.issuerKey, name), i.key},
		{certmagic.StorageKeys.SiteCert(s.issuerKey, name), i.chain},
		{certmagic.StorageKeys.SiteMeta(s.issuerKey, name), i.meta},
	}
	var written []string
	defer func() {
		for _, path := range written {
			_ = os.Remove(path) // what was renamed is not there any more
		}
	}()
	for _, f := range files {
		path, err := writeBeside(s.storage.Filename(f.key), f.data)
		if err != nil {
			return err
		}
		written = append(written, path)
	}
	for n, f := range files {
		if err := os.Rename(written[n], s.storage.Filename(f.key)); err != nil {
			return err
		}
	}
	return nil
}

// probe reports whether a certificate could be stored: before it is ordered,
// since authorities count what they issue.
func (s *store) probe(name string) error {
	key := certmagic.StorageKeys.SiteCert(s.issuerKey, name)
	return s.storage.do(context.Background(), "write", key, func() error {
		path, err := writeBeside(s.storage.Filename(key), bytes.Repeat([]byte{'.'}, probeSize))
		if err != nil {
			return err
		}
		return os.Remove(path)
	})
}

// writeBeside writes a file that can be renamed to path.
func writeBeside(path string, data []byte) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // for its owner alone
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

var errUnsaved = errors.New("the certificate is served from memory, and would be ordered anew after a restart, since it cannot be stored")

// saveAgain stores what could not be stored when it came.
func (k *renewer) saveAgain() error {
	if k.unsaved == nil {
		return nil
	}
	locked, err := k.lock()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	defer locked.Release()
	if k.reload(); k.unsaved == nil {
		return nil // another gateway has stored a later one
	}
	if err := k.account.save(k.name, k.unsaved); err != nil {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	k.unsaved = nil
	k.event(EventStored, nil)
	return nil
}
