package memory

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestABufferHoldsWhatIsWritten(t *testing.T) {
	for range 200 {
		var b Buffer
		var want []byte
		for range rand.IntN(20) {
			p := bytes.Repeat([]byte{byte(rand.IntN(256))}, rand.IntN(5000))
			b.Write(p)
			want = append(want, p...)
		}
		for i, p := range b.Parts() {
			if i < len(b.Parts())-1 && len(p) < leastBuffer {
				t.Fatalf("part %d has %d bytes", i, len(p))
			}
		}
		if b.Len() != len(want) || !bytes.Equal(bytes.Join(b.Parts(), nil), want) {
			t.Fatal("the parts are other bytes")
		}
		if !bytes.Equal(b.Bytes(), want) || b.Len() != 0 {
			t.Fatal("it holds other bytes")
		}
	}
}
