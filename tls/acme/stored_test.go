package acme

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

func FuzzStoredRenewalInfo(f *testing.F) {
	start := time.Now()
	leaf := &x509.Certificate{NotBefore: start, NotAfter: start.Add(60 * time.Hour)}
	never := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	for _, selected := range []time.Time{start.Add(time.Hour), never, {}} {
		info := acme.RenewalInfo{SelectedTime: selected, RetryAfter: &never}
		info.SuggestedWindow.Start, info.SuggestedWindow.End = start, never
		issued, err := json.Marshal(acme.Certificate{RenewalInfo: &info})
		if err != nil {
			f.Fatal(err)
		}
		data, err := json.Marshal(certmagic.CertificateResource{IssuerData: issued})
		if err != nil {
			f.Fatal(err)
		}
		if got := parseRenewalInfo(data); got == nil || !got.SelectedTime.Equal(selected) {
			f.Errorf("%s is read as %+v", data, got)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"issuer_data":{"renewal_info":{"_retryAfter":"9999-12-31T23:59:59Z"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info := parseRenewalInfo(data)
		if due := renewalTime(leaf, info); due.After(leaf.NotAfter.Add(-10 * time.Hour)) {
			t.Errorf("renewal at %v, too late for a certificate until %v", due, leaf.NotAfter)
		}
		if info != nil && info.RetryAfter != nil && info.RetryAfter.After(time.Now().Add(24*time.Hour)) {
			t.Errorf("the authority is not asked before %v", info.RetryAfter)
		}
	})
}
