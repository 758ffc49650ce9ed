package config

import (
	"fmt"
	"regexp"
	"strings"
)

// envName is what may stand between ${ and }, besides a default.
const envName = `[A-Za-z_][A-Za-z0-9_]*`

var envReference = regexp.MustCompile(`^\$\{(` + envName + `)(:-[^}]*)?\}`)

// Expand replaces ${NAME} and ${NAME:-default} in text, and $$ by a dollar
// sign; any other dollar sign stays. As in a shell, the default also stands for
// an empty variable. A value that is put in is not expanded itself.
//
// Load applies it to each scalar after the YAML parser: no value can become a
// key, a list or a comment.
func Expand(text string, env func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:i])
		text = text[i:]
		switch text[1] {
		case '$':
			b.WriteByte('$')
			text = text[2:]
		case '{':
			m := envReference.FindStringSubmatch(text)
			if m == nil {
				return "", fmt.Errorf("%q is no ${NAME} or ${NAME:-default}; a dollar sign itself is written $$", clip(text))
			}
			name, def := m[1], m[2]
			if strings.Contains(def, "${") {
				return "", fmt.Errorf("the default of ${%s} holds another variable; defaults do not nest", name)
			}
			value, ok := env(name)
			switch {
			case value == "" && def != "":
				value = def[len(":-"):]
			case !ok:
				return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
			}
			b.WriteString(value)
			text = text[len(m[0]):]
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
}
