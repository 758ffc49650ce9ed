package config

// Validator is implemented by the structs of the file that check more than
// their tags can say. Load calls it for every such struct value, children
// before parents, after the whole file was decoded.
type Validator interface{ Validate(*Scope) }

// Scope is one struct value's place in the file, handed to its Validate. A
// field is named relative to that struct, as the YAML spells it: "client_cert",
// "endpoints[1]", "tls.ca_cert"; "" is the struct itself. A Scope must not be
// used after Validate returned.
type Scope struct{}

// Errorf reports a mistake of the named field. It is silent where the decoder
// has already reported that field.
func (s *Scope) Errorf(field, format string, args ...any) {}

// Transientf reports a mistake that may cure itself, such as a certificate
// that does not fit its key while somebody replaces both.
func (s *Scope) Transientf(field, format string, args ...any) {}

// Warnf reports something that is legal, and that the operator should know.
func (s *Scope) Warnf(field, format string, args ...any) {}

// IsSet reports whether the key stood in the file.
func (s *Scope) IsSet(field string) bool { return false }
