package filter

import (
	"encoding/json"
	"slices"
	"strings"
)

// Resource is a route as a protected resource (RFC 9728).
type Resource struct {
	// Metadata is the URL of the document that says how to get a token.
	Metadata string
	// Scopes are those that a token must have, all of them.
	Scopes []string
}

// challenge is what WWW-Authenticate says (RFC 6750 section 3, RFC 9728
// section 5.1). why stands only where a token was presented.
func (res *Resource) challenge(why string) string {
	var params []string
	if res == nil {
		params = append(params, `realm="mcpgateway"`)
	}
	if why != "" {
		params = append(params, `error="`+why+`"`)
	}
	if res != nil {
		params = append(params, `resource_metadata="`+res.Metadata+`"`)
		if len(res.Scopes) > 0 {
			params = append(params, `scope="`+strings.Join(res.Scopes, " ")+`"`)
		}
	}
	return "Bearer " + strings.Join(params, ", ")
}

// missing are the scopes that were not granted.
func (res *Resource) missing(granted []string) []string {
	if res == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(res.Scopes), func(s string) bool { return slices.Contains(granted, s) })
}

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
