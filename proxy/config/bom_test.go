package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Editors on Windows begin a file with a byte order mark.
func TestAByteOrderMarkIsNoPartOfAFile(t *testing.T) {
	const bom = "\xef\xbb\xbf"
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("cert", bom+"-----BEGIN\n")
	write("words", bom+"top secret\r\n")
	write("token", bom+"t0ken\n")
	write("binary", bom+"\xff\xfe")
	var file struct {
		Cert   config.File   `yaml:"cert"`
		Words  config.Secret `yaml:"words"`
		Binary config.Secret `yaml:"binary"`
		Token  config.Value  `yaml:"token"`
	}
	snapshot, err := load(write("config.yaml", bom+"cert: cert\nwords: words\nbinary: binary\ntoken: {file: token}\n"), &file)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]string{
		"the certificate":  {string(file.Cert.Data), "-----BEGIN\n"},
		"the secret":       {string(file.Words.Data), "top secret"},
		"the value":        {file.Token.Text, "t0ken"},
		"the binary key":   {string(file.Binary.Data), bom + "\xff\xfe"}, // it is no text, so these bytes are its own
		"the file's moved": {snapshot.Moved(), ""},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %q, want %q", what, got[0], got[1])
		}
	}
	for text, want := range map[string]string{
		bom + "bogus: 1\n":                     ":1:1: bogus: unknown key",
		bom + "cert: cert\nbogus: 1\n":         ":2:1: bogus: unknown key",
		bom + "cert: }\n":                      ":1: not valid YAML",
		bom:                                    "the file is empty",
		bom + "# only\n":                       "the file is empty",
		bom + "---\ncert: cert\n---\nwords: w": "a second document",
	} {
		if _, err := load(write("bad.yaml", text), &file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
