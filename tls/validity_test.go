package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

func TestAPeerIsGoodAsLongAsItsLongestChain(t *testing.T) {
	now := time.Now()
	chain := func(hours ...int) (chain []*x509.Certificate) {
		for _, h := range hours {
			chain = append(chain, &x509.Certificate{NotAfter: now.Add(time.Duration(h) * time.Hour)})
		}
		return chain
	}
	for _, c := range []struct {
		name   string
		chains [][]*x509.Certificate
		want   int // hours; 0 for no end
	}{
		{"no chain", nil, 0},
		{"a leaf that is trusted itself", [][]*x509.Certificate{chain(5)}, 5},
		{"a leaf", [][]*x509.Certificate{chain(5, 9)}, 5},
		{"the root does not count", [][]*x509.Certificate{chain(5, 3)}, 5},
		{"an intermediate", [][]*x509.Certificate{chain(5, 4, 9)}, 4},
		{"the first of several", [][]*x509.Certificate{chain(5, 4, 3, 9)}, 3},
		{"two chains", [][]*x509.Certificate{chain(5, 3, 9), chain(5, 4, 9)}, 4},
		{"two chains, the longer one first", [][]*x509.Certificate{chain(5, 4, 9), chain(5, 3, 9)}, 4},
	} {
		cs := &cryptotls.ConnectionState{VerifiedChains: c.chains}
		var want time.Time
		if c.want > 0 {
			cs.PeerCertificates = c.chains[0][:1]
			want = now.Add(time.Duration(c.want) * time.Hour)
		}
		if got := VerifiedUntil(cs); !got.Equal(want) {
			t.Errorf("%s: good for %v, want %d hours", c.name, got.Sub(now), c.want)
		}
	}
	if got := VerifiedUntil(nil); !got.IsZero() {
		t.Errorf("on plain text: %v", got)
	}
}
