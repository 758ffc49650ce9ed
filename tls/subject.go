package tls

import (
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// The kinds of string that package cryptobyte has no name for.
const (
	tagNumeric   = tags.Tag(18)
	tagPrintable = tags.Tag(19)
	tagBMP       = tags.Tag(30) // of older Microsoft CAs
)

// attributeNames are those that OpenSSL, and so Envoy, writes.
var attributeNames = map[string]string{
	"2.5.4.3":  "CN",
	"2.5.4.4":  "SN",
	"2.5.4.5":  "serialNumber",
	"2.5.4.6":  "C",
	"2.5.4.7":  "L",
	"2.5.4.8":  "ST",
	"2.5.4.9":  "street",
	"2.5.4.10": "O",
	"2.5.4.11": "OU",
	"2.5.4.12": "title",
	"2.5.4.13": "description",
	"2.5.4.15": "businessCategory",
	"2.5.4.17": "postalCode",
	"2.5.4.41": "name",
	"2.5.4.42": "GN",
	"2.5.4.43": "initials",
	"2.5.4.44": "generationQualifier",
	"2.5.4.46": "dnQualifier",
	"2.5.4.65": "pseudonym",
	"2.5.4.97": "organizationIdentifier",

	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// distinguishedName writes a name (RFC 5280 section 4.1.2.4) as RFC 4514 has
// it, in printable ASCII without a quote or two backslashes in a row. Two names
// give one text only if they say the same, whatever kind of string they say it
// in. pkix.Name will not do: it keeps only the last Common Name, and puts
// attributes into an order of its own.
func distinguishedName(der []byte) string {
	text, ok := nameText(der)
	if !ok { // of no certificate that crypto/x509 has parsed
		return fmt.Sprintf("#%X", der)
	}
	return text
}

func nameText(der cryptobyte.String) (text string, ok bool) {
	var relatives cryptobyte.String
	if !der.ReadASN1(&relatives, tags.SEQUENCE) {
		return "", false
	}
	for !relatives.Empty() {
		var set cryptobyte.String
		if !relatives.ReadASN1(&set, tags.SET) {
			return "", false
		}
		separator := ","
		for !set.Empty() {
			var attribute cryptobyte.String
			if !set.ReadASN1(&attribute, tags.SEQUENCE) {
				return "", false
			}
			one, ok := attributeText(attribute)
			if !ok {
				return "", false
			}
			if text != "" {
				one += separator
			}
			text, separator = one+text, "+" // the last comes first
		}
	}
	return text, true
}

// attributeText writes one attribute. What is no string, and what we know no
// name of, is in hexadecimal digits (RFC 4514 section 2.4).
func attributeText(attribute cryptobyte.String) (text string, ok bool) {
	var id asn1.ObjectIdentifier
	var value, content cryptobyte.String
	var tag tags.Tag
	if !attribute.ReadASN1ObjectIdentifier(&id) || !attribute.ReadAnyASN1Element(&value, &tag) {
		return "", false
	}
	name, known := attributeNames[id.String()]
	if !known {
		return fmt.Sprintf("%s=#%X", id, []byte(value)), true
	}
	element := value
	if element.ReadASN1(&content, tag) {
		if text, ok := stringText(tag, content); ok {
			return name + "=" + escapeValue(text), true
		}
	}
	return fmt.Sprintf("%s=#%X", name, []byte(value)), true
}

// stringText is a string of some kind in UTF-8.
func stringText(tag tags.Tag, content []byte) (text string, ok bool) {
	switch tag {
	case tags.UTF8String, tagPrintable, tags.IA5String, tagNumeric:
		return string(content), true
	case tags.T61String: // which everybody takes for Latin-1
		runes := make([]rune, len(content))
		for i, c := range content {
			runes[i] = rune(c)
		}
		return string(runes), true
	case tagBMP:
		units := make([]uint16, len(content)/2)
		for i := range units {
			units[i] = uint16(content[2*i])<<8 | uint16(content[2*i+1])
		}
		runes := utf16.Decode(units)
		return string(runes), len(content)%2 == 0 && !slices.Contains(runes, utf8.RuneError)
	}
	return "", false
}

// escapeValue escapes what would end a value, or what a header cannot hold: the
// latter, quotes and backslashes as pairs of hexadecimal digits for each byte
// (RFC 4514 section 2.4).
func escapeValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c < ' ' || c >= 0x7f || c == '"' || c == '\\':
			fmt.Fprintf(&b, `\%02X`, c)
			continue
		case strings.IndexByte(",+;<>", c) >= 0,
			c == ' ' && (i == 0 || i == len(s)-1),
			c == '#' && i == 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
