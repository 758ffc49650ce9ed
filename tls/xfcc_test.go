package tls

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// subjectOf is the name of one attribute, a Common Name of some kind of string.
func subjectOf(tag tags.Tag, value string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier([]int{2, 5, 4, 3})
				b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(value)) })
			})
		})
	})
	return b.BytesOrPanic()
}

func TestForwardedIdentityCannotBreakOutOfItsValue(t *testing.T) {
	peer := &x509.Certificate{
		Raw:        []byte("x"),
		RawSubject: subjectOf(tags.UTF8String, "a\",Hash=b\r\n;\\"),
		DNSNames:   []string{"plain.test", `x;By="y`, `back\`, `\"`},
		URIs:       []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/a,b"}},
	}
	own := &x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/gateway"}}}
	want := `By=spiffe://td/gateway;` +
		`Hash=2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881;` +
		`Subject="CN=a\22\,Hash=b\0D\0A\;\5C";` +
		`URI="spiffe://td/a,b";DNS=plain.test;DNS="x;By=\"y";DNS="back\5C";DNS="\5C\""`
	if got := Forwarded(peer, own); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoTwoSubjectsAreForwardedAsOne(t *testing.T) {
	type kind struct {
		tag  tags.Tag
		text string
	}
	bmp := func(s string) string {
		var b strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			b.Write([]byte{byte(unit >> 8), byte(unit)})
		}
		return b.String()
	}
	seen := map[string]bool{}
	for _, c := range []struct {
		want  string
		kinds []kind
	}{
		{`CN=J\C3\B6rg`, []kind{{tags.UTF8String, "Jörg"}, {tags.T61String, "J\xf6rg"}, {tagBMP, bmp("Jörg")}}},
		{`CN=J\C3\A4rg`, []kind{{tags.UTF8String, "Järg"}}},
		{`CN=J?rg`, []kind{{tags.UTF8String, "J?rg"}, {tagPrintable, "J?rg"}, {tags.IA5String, "J?rg"}}},
		{`CN=J\C3\83\C2\B6rg`, []kind{{tags.T61String, "J\xc3\xb6rg"}, {tags.UTF8String, "JÃ¶rg"}}},
		{`CN=J\5CC3\5CB6rg`, []kind{{tags.UTF8String, `J\C3\B6rg`}}},
		{`CN=\F0\9F\94\91`, []kind{{tags.UTF8String, "🔑"}, {tagBMP, bmp("🔑")}}},
		{`CN=\ \ `, []kind{{tags.UTF8String, "  "}}},
		{`CN=\ `, []kind{{tags.UTF8String, " "}}},
		{`CN=\#1600`, []kind{{tags.UTF8String, "#1600"}}},
		{`CN=#1A0161`, []kind{{tags.Tag(26), "a"}}}, // VisibleString
		{`CN=#1E02D800`, []kind{{tagBMP, "\xd8\x00"}}},
		{`CN=#1E0141`, []kind{{tagBMP, "A"}}},
		{`CN=`, []kind{{tags.UTF8String, ""}}},
		{`CN=a\,O=b`, []kind{{tags.UTF8String, "a,O=b"}}},
	} {
		if seen[c.want] {
			t.Errorf("%s stands for two", c.want)
		}
		seen[c.want] = true
		for _, k := range c.kinds {
			if got := distinguishedName(subjectOf(k.tag, k.text)); got != c.want {
				t.Errorf("%+q: got %s, want %s", k, got, c.want)
			}
		}
	}
}

// What Envoy writes is what OpenSSL does, and OpenSSL knows more kinds of name.
// Envoy itself leaves a quote as it is, behind a backslash.
func TestSubjectsAreWrittenAsEnvoyDoes(t *testing.T) {
	t.Parallel()
	sh, read := openssl(t)
	for _, subject := range []string{
		"/C=DE/O=Foo, Inc./OU=a+b/CN=Jörg",
		"/CN=first/CN=last",
		"/DC=org/DC=example/UID=7/emailAddress=a@example.org",
		"/O=Org/CN=multi+serialNumber=12+OU=unit",
		"/CN= # /street=1;2<3>4",
		"/1.2.3.4=unknown/title=t/GN=g/SN=s/postalCode=1/description=d/businessCategory=b",
		"/dnQualifier=q/initials=i/generationQualifier=g/pseudonym=p/name=n/organizationIdentifier=o/L=l/ST=s",
	} {
		sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -out a.crt -days 1 -utf8 -multivalue-rdn -subj '" + subject + `'
			openssl x509 -in a.crt -noout -subject -nameopt RFC2253 >text`)
		cert, err := x509.ParseCertificate(derOf(read("a.crt")))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(string(read("text")), "subject="), "\n")
		if got := distinguishedName(cert.RawSubject); got != want {
			t.Errorf("%s: got %s, want %s", subject, got, want)
		}
	}
}

// field is a key and its value.
type field struct{ key, value string }

// readForwarded is a reader of the header that trusts no writer: it knows no more
// than the format, and fails where readers that escape in one way or another
// would not agree.
func readForwarded(s string) (fields []field, err error) {
	for {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.ContainsAny(key, `,;"\ `) {
			return nil, fmt.Errorf("no key at %q", s)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			end := closing(rest)
			if end < 0 {
				return nil, fmt.Errorf("%q does not end in the same way to all", rest)
			}
			value, s = rest[1:end], rest[end+1:]
		} else {
			end := strings.IndexAny(rest+";", `;,="\ `)
			value, s = rest[:end], rest[end:]
		}
		fields = append(fields, field{key, value})
		if s == "" {
			return fields, nil
		}
		if s[0] != ';' {
			return nil, fmt.Errorf("something behind a value: %q", s)
		}
		s = s[1:]
	}
}

// closing is where a quoted value ends: before a quote that no backslash
// precedes, to some readers; to others, backslashes come in pairs, too.
func closing(s string) int {
	end := -1
	for i := 1; i < len(s) && end < 0; i++ {
		if s[i] == '"' && s[i-1] != '\\' {
			end = i
		}
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			if i != end {
				return -1
			}
			return end
		}
	}
	return -1
}

// unescape reads backslashes, before two digits or before one of the special
// characters.
func unescape(s, special string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && strings.IndexByte(special, s[i+1]) >= 0 {
			b.WriteByte(s[i+1])
			i++
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("half an escape")
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", err
		}
		b.Write(c)
		i += 2
	}
	return b.String(), nil
}

func FuzzForwarded(f *testing.F) {
	f.Add("client", "a.test", "spiffe://td/a", "spiffe://td/gateway")
	f.Add(`\",By=x;`, `\`, `urn:"a,b`, `urn:\`)
	f.Add("Jörg\r\n", " ", "urn:;=", "x:?a b")
	f.Add(" # ", "\x00\xff", "", "")
	f.Fuzz(func(t *testing.T, cn, dns, uri, own string) {
		peer := &x509.Certificate{Raw: []byte(cn), RawSubject: subjectOf(tags.UTF8String, cn), DNSNames: []string{dns}}
		var gateway *x509.Certificate
		var want []field
		if u, err := url.Parse(own); err == nil {
			gateway = &x509.Certificate{URIs: []*url.URL{u}}
			want = append(want, field{"By", u.String()})
		}
		want = append(want, field{"Hash", ""}, field{"Subject", cn})
		if u, err := url.Parse(uri); err == nil {
			peer.URIs = []*url.URL{u}
			want = append(want, field{"URI", u.String()})
		}
		want = append(want, field{"DNS", dns})

		header := Forwarded(peer, gateway)
		if bytes.ContainsFunc([]byte(header), unprintable) {
			t.Fatalf("%q is no header", header)
		}
		got, err := readForwarded(header)
		if err != nil {
			t.Fatalf("%s: %v", header, err)
		}
		for i := range got {
			switch got[i].key {
			case "Hash":
				got[i].value = ""
			case "Subject":
				got[i].value, err = unescape(strings.TrimPrefix(got[i].value, "CN="), "+,;<># ")
			default:
				got[i].value, err = unescape(got[i].value, `"`)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", header, got[i].key, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: read as %q, want %q", header, got, want)
		}
	})
}
