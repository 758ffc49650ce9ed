package tls

import (
	"bytes"
	"encoding/pem"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// der is the content of the first block of PEM.
func der(text []byte) []byte {
	block, _ := pem.Decode(text)
	return block.Bytes
}

func TestEveryRevocationListOfAFileIsRead(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	one, two := tlstest.NewCA(t, "one").CRL(t, soon), tlstest.NewCA(t, "two").CRL(t, soon)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }
	// 0x30, and a length after which something else might begin.
	comment := []byte("0 is the number of the list that follows\n")
	for _, c := range []struct {
		name string
		file []byte
		want int // lists; 0 for an error
	}{
		{"PEM", join(one, two), 2},
		{"DER", join(der(one), der(two)), 2},
		{"DER within one block of PEM", block(join(der(one), der(two))), 2},
		{"text that begins like DER before PEM", join(comment, one, two), 2},
		{"garbage behind DER", join(der(one), []byte("x")), 0},
		{"an empty element behind DER", join(der(one), []byte{0x30, 0}), 0},
		{"garbage in a block of PEM", block(join(der(one), []byte("x"))), 0},
		{"PEM behind DER", join(der(one), two), 0},
		{"DER behind PEM", join(one, der(two)), 0},
		{"half a list behind DER", join(der(one), der(two)[:100]), 0},
	} {
		lists, err := ParseCRLs(c.file)
		if c.want == 0 {
			if err == nil || !Torn(err) {
				t.Errorf("%s: got %v, want a torn file", c.name, err)
			}
			continue
		}
		if err != nil || len(lists.lists) != c.want {
			t.Errorf("%s: got %+v, %v, want %d lists", c.name, lists, err, c.want)
		}
	}
}
