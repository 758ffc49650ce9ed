package filter

import (
	"encoding/json"
	"strings"
)

// scopes are those of a token: a string with spaces between them (RFC 8693
// section 4.2), or a list, as some issuers write it.
type scopes []string

// UnmarshalJSON reads either form. What is neither grants nothing; a route that
// needs no scope has no reason to refuse it.
func (s *scopes) UnmarshalJSON(data []byte) error {
	var text string
	var list []string
	if json.Unmarshal(data, &text) == nil {
		*s = strings.Fields(text)
	} else if json.Unmarshal(data, &list) == nil {
		*s = list
	}
	return nil
}
