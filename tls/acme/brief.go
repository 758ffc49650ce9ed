package acme

import (
	"errors"
	"strings"
	"unicode/utf8"
)

const (
	// maxBody bounds what is read of an answer. Certificate chains are the
	// longest that is of use.
	maxBody = 1 << 20
	// maxText bounds, in bytes, what is kept and shown of an error: authorities,
	// and proxies before them, answer with whole pages.
	maxText = 500
)

// shorten cuts a text, between two characters, to what is shown of it.
func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.Clone(text[:cut]) + "…" // the rest is not kept
}

// brief is err, or what is shown of it if it is long.
func brief(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); len(text) > maxText {
		return errors.New(shorten(text))
	}
	return err
}
