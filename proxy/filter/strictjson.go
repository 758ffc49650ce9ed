package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// strictObject reads a JSON object that every reader understands alike: UTF-8,
// no name twice in any object of it, no half of a surrogate pair (RFC 7493). Its
// members are by their exact names; each has at least one byte.
func strictObject(data []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(data) || !utf8.Valid(data) {
		return nil, errors.New("not JSON in UTF-8")
	}
	if loneSurrogate(data) {
		// encoding/json would read each of them as U+FFFD: two names as one.
		return nil, errors.New("half a surrogate pair in a string")
	}
	if err := checkNames(data); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, errors.New("not a JSON object")
	}
	return members, nil
}

// checkNames looks for a name that an object of data, which is valid JSON, has
// twice.
func checkNames(data []byte) error {
	// level is an object or a list that is open.
	type level struct {
		names map[string]bool // nil in a list
		value bool            // a name was read, its value is next
	}
	var open []level
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return fmt.Errorf("reading JSON: %w", err)
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{names: map[string]bool{}})
			continue
		case json.Delim('['):
			open = append(open, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			return nil
		}
		// What was read is a name, or it ends a value of the innermost level.
		inner := &open[len(open)-1]
		if name, ok := token.(string); ok && inner.names != nil && !inner.value {
			if inner.names[name] {
				return fmt.Errorf("the member %.64q twice", name)
			}
			inner.names[name], inner.value = true, true
		} else {
			inner.value = false
		}
	}
}

// loneSurrogate reports whether a \u escape in data, which is valid JSON, is
// half a surrogate pair.
func loneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		unit := hexUnit(data[i+1:])
		i += 4
		if !utf16.IsSurrogate(unit) {
			continue
		}
		rest := data[i+1:]
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' || utf16.DecodeRune(unit, hexUnit(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// hexUnit reads the four digits that follow \u.
func hexUnit(data []byte) rune {
	unit, err := strconv.ParseUint(string(data[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(unit)
}
