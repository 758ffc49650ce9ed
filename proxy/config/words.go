package config

import (
	"regexp"
	"strconv"
	"strings"
)

// plainWord is what needs no quotes within [] of YAML.
var plainWord = regexp.MustCompile(`^(?:[A-Za-z0-9_./]|-[A-Za-z0-9-])[A-Za-z0-9_./:@%+=~-]*$`)

// List writes text, which stands where a list belongs, as the list that is meant: a
// command line or names between spaces, one item a word. Quotes hold a word together
// as they do in a shell.
func List(text string) string {
	if strings.Contains(text, ",") {
		return "[" + text + "]" // between commas it is a list but for the brackets
	}
	items := shellWords(text)
	for i, word := range items {
		if !plainWord.MatchString(word) || strings.HasSuffix(word, ":") {
			items[i] = strconv.Quote(word)
		}
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func shellWords(text string) (list []string) {
	var word strings.Builder
	within, quote := false, rune(0)
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			within, quote = true, r
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if within {
				list = append(list, word.String())
				word.Reset()
			}
			within = false
		default:
			within = true
			word.WriteRune(r)
		}
	}
	if within {
		list = append(list, word.String())
	}
	return list
}
