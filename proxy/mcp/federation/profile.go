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

// capabilities are those that several servers can share. Lists change when clusters
// come and go, whatever the servers say of themselves.
var capabilities = []struct{ name, declared string }{
	{"tools", `{"listChanged":true}`},
	{"prompts", `{"listChanged":true}`},
	{"resources", `{"subscribe":true,"listChanged":true}`},
	{"completions", `{}`},
	{"logging", `{}`},
}

// Capabilities declares what at least one server can do. A client with a session is
// told of all that servers can share, so that a cluster that is added later can appear.
func Capabilities(found []Profile, session bool) []byte {
	var declared, extensions []any
	for _, c := range capabilities {
		if session || declares(found, c.name) {
			declared = append(declared, c.name, []byte(c.declared))
		}
	}
	if session && declares(found, "tasks") {
		declared = append(declared, "tasks", []byte(`{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`))
	}
	for _, name := range []string{"io.modelcontextprotocol/ui", "io.modelcontextprotocol/tasks"} {
		if declares(found, "extensions", name) {
			extensions = append(extensions, name, []byte("{}"))
		}
	}
	if len(extensions) > 0 {
		declared = append(declared, "extensions", jsonrpc.NewObject(extensions...))
	}
	return jsonrpc.NewObject(declared...)
}

// declares reports whether at least one server declares a capability.
func declares(found []Profile, path ...string) bool {
	return slices.ContainsFunc(found, func(p Profile) bool {
		return p.Initialized.Result().Get("capabilities").Get(path...).Exists()
	})
}

// Instructions joins what the servers tell the model, under a heading each: a JSON
// string, nil where they tell nothing.
func Instructions(found []Profile) []byte {
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
	if text.Len() == 0 {
		return nil
	}
	return jsonrpc.AppendString(nil, text.String())
}

// clip cuts text to at most n bytes, between two characters.
func clip(text string, n int) string {
	for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:min(n, len(text))]
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
