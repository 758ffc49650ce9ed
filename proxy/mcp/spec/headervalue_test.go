package spec

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

func FuzzHeader(f *testing.F) {
	for _, text := range []string{"us-west1", "Hello, 世界", " padded ", "line1\nline2", "=?base64?literal?=", "=?base64?aGk=?=", "=?base64?**?=", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plain, ok := DecodeHeader(text); ok && utf8.ValidString(text) {
			if again, ok := DecodeHeader(EncodeHeader(plain)); !ok || again != plain {
				t.Errorf("%q is %q, and then %q", text, plain, again)
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		coded := EncodeHeader(text)
		if plain, ok := DecodeHeader(coded); !ok || plain != text {
			t.Errorf("%q becomes %q, and then %q", text, coded, plain)
		}
		if !httpguts.ValidHeaderFieldValue(coded) {
			t.Errorf("%q becomes %q, which is no header", text, coded)
		}
	})
}
