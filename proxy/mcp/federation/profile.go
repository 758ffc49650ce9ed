package federation

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// instructionsLimit bounds what each member of a federation may tell the model at
// the beginning, in bytes.
const instructionsLimit = 4 << 10

// Profile is what a member's server has said of itself.
type Profile struct {
	Member Member
	// Initialized is the answer to initialize; of a server without sessions it is
	// made of what that says.
	Initialized *jsonrpc.Message
	// Discovered is the answer to server/discover; nil: it was not asked.
	Discovered *jsonrpc.Message
	// Revisions are those that it serves.
	Revisions []string
}

// sessionCapabilities are declared even where no server serves them yet, so that a
// cluster that is added later can appear.
const sessionCapabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},` +
	`"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}`

// SessionCapabilities declares what sessions of several servers can do: what is
// always declared, and what at least one of them can.
func SessionCapabilities(found []Profile) []byte {
	b := []byte(strings.TrimSuffix(sessionCapabilities, "}"))
	if declares(found, "tasks") {
		b = append(b, `,"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`...)
	}
	if extensions := extensionsOf(found); extensions != "" {
		b = append(append(b, ','), extensions...)
	}
	return append(b, '}')
}

// Capabilities declares, for a client without a session, what at least one server
// can do. Lists change when clusters come and go, whatever the servers say of
// themselves.
func Capabilities(found []Profile) []byte {
	var parts []string
	for _, declared := range []struct{ name, value string }{
		{"tools", `{"listChanged":true}`},
		{"prompts", `{"listChanged":true}`},
		{"resources", `{"subscribe":true,"listChanged":true}`},
		{"completions", `{}`},
		{"logging", `{}`},
	} {
		if declares(found, declared.name) {
			parts = append(parts, `"`+declared.name+`":`+declared.value)
		}
	}
	if extensions := extensionsOf(found); extensions != "" {
		parts = append(parts, extensions)
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// declares reports whether at least one server declares a capability.
func declares(found []Profile, path ...string) bool {
	return slices.ContainsFunc(found, func(p Profile) bool {
		return p.Initialized.Result().Get("capabilities").Get(path...).Exists()
	})
}

// extensionsOf is the member extensions of a federation's capabilities, "" when
// there is nothing in it: of those that can be shared, the ones that at least
// one server has.
func extensionsOf(found []Profile) string {
	var names []string
	for _, name := range []string{"io.modelcontextprotocol/ui", "io.modelcontextprotocol/tasks"} {
		if declares(found, "extensions", name) {
			names = append(names, `"`+name+`":{}`)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return `"extensions":{` + strings.Join(names, ",") + "}"
}

// Instructions joins what the servers tell the model, under a heading each.
func Instructions(found []Profile) string {
	var text strings.Builder
	for _, p := range found {
		said := p.Initialized.Result().Get("instructions").String()
		if said == "" {
			continue
		}
		if text.Len() > 0 {
			text.WriteString("\n\n")
		}
		text.WriteString("[" + p.Member.Name + "]\n" + clip(said, instructionsLimit))
	}
	return text.String()
}

// clip cuts text to at most n bytes, between two characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// HintOfAll is the hint of what is made of all servers' answers to
// server/discover; the zero Hint where one has not been asked.
func HintOfAll(found []Profile) Hint {
	h := Freshest()
	for _, p := range found {
		if p.Discovered == nil {
			return Hint{}
		}
		h = h.And(HintOf(p.Discovered.Result()))
	}
	return h
}
