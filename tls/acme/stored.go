package acme

import (
	"bytes"
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// held is a certificate in memory. It is immutable: a new staple makes a new
// one.
type held struct {
	tls     *cryptotls.Certificate
	renewal *acme.RenewalInfo // nil: the authority said nothing
	staple  staple
	// issued is when it was stored, by whichever gateway; zero: not known.
	issued time.Time
}

func (h *held) leaf() *x509.Certificate { return h.tls.Leaf }

// same reports whether both are one certificate.
func (h *held) same(o *held) bool {
	return h != nil && o != nil && bytes.Equal(h.leaf().Raw, o.leaf().Raw)
}

// outlasts reports whether the certificate ends later than another.
func (h *held) outlasts(o *held) bool { return h.leaf().NotAfter.After(o.leaf().NotAfter) }

func (h *held) expired() bool { return !time.Now().Before(h.leaf().NotAfter) }

// load reads the certificate of a name. The error is fs.ErrNotExist when there
// is none; any other may be another gateway's write that is under way, since
// the files of a certificate are not replaced together.
func (s *store) load(ctx context.Context, name string) (*held, error) {
	cert, err := s.loadPair(ctx, s.issuerKey, name)
	if err != nil {
		return nil, err
	}
	// What the authority said when it issued the certificate may not be there.
	meta, _ := s.storage.Load(ctx, certmagic.StorageKeys.SiteMeta(s.issuerKey, name))
	h := &held{tls: cert, renewal: parseRenewalInfo(meta), issued: s.issued(ctx, name)}
	if der, err := s.storage.Load(ctx, s.stapleKey(name, cert)); err == nil {
		if last, err := parseStaple(der, cert); err == nil && last.usable() {
			h = h.stapled(last)
		}
	}
	return h, nil
}

func (s *store) loadPair(ctx context.Context, issuerKey, name string) (*cryptotls.Certificate, error) {
	certPEM, err := s.storage.Load(ctx, certmagic.StorageKeys.SiteCert(issuerKey, name))
	if err != nil {
		return nil, err
	}
	keyPEM, err := s.storage.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuerKey, name))
	if err != nil {
		return nil, err
	}
	cert, err := parsePair(name, certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("stored certificate of %s: %w", name, err)
	}
	return cert, nil
}

// loadFormer is what another authority was the last to issue for a name; nil where
// nothing is in date. A change of the authority is not over when the process is
// restarted.
func (s *store) loadFormer(ctx context.Context, name string) (former *held) {
	issuers, err := s.storage.List(ctx, path.Dir(certmagic.StorageKeys.CertsPrefix(s.issuerKey)), false)
	if err != nil {
		return nil
	}
	for _, issuer := range issuers {
		cert, err := s.loadPair(ctx, path.Base(issuer), name)
		if err != nil {
			continue
		}
		h := &held{tls: cert}
		begins := h.leaf().NotBefore
		if !h.expired() && !time.Now().Before(begins) && (former == nil || begins.After(former.leaf().NotBefore)) {
			former = h
		}
	}
	return former
}

// issued is when the certificate of a name was stored, as far as that is known: a
// time to come is of another clock.
func (s *store) issued(ctx context.Context, name string) time.Time {
	info, err := s.storage.Stat(ctx, certmagic.StorageKeys.SiteCert(s.issuerKey, name))
	if err != nil || info.Modified.After(time.Now()) {
		return time.Time{}
	}
	return info.Modified
}

// parseRenewalInfo reads what certmagic stores beside a certificate; nil is that it
// does not say when to renew. An authority that wanted to be left alone for longer is
// asked after a day all the same.
func parseRenewalInfo(data []byte) *acme.RenewalInfo {
	var resource certmagic.CertificateResource
	var issued acme.Certificate
	if json.Unmarshal(data, &resource) != nil || json.Unmarshal(resource.IssuerData, &issued) != nil {
		return nil
	}
	info := issued.RenewalInfo
	if info != nil && info.RetryAfter != nil {
		at := notBeyondADay(time.Now(), *info.RetryAfter)
		info.RetryAfter = &at
	}
	return info
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
