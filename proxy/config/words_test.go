package config_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"gopkg.in/yaml.v3"
)

func TestWhatIsMeantByALineOfWordsIsAList(t *testing.T) {
	for text, want := range map[string]string{
		"npx -y foo":                `[npx, -y, foo]`,
		"  npx -y @scope/foo@1.2 ":  `[npx, -y, "@scope/foo@1.2"]`,
		`sh -c 'exec server "$1"'`:  `[sh, -c, "exec server \"$1\""]`,
		"docker run -e ${A} --rm x": `[docker, run, -e, "${A}", --rm, x]`,
		"GET, POST":                 `[GET, POST]`,
		"http://10.0.0.1":           `[http://10.0.0.1]`,
		"*.example.com example.com": `["*.example.com", example.com]`,
		`server ""`:                 `[server, ""]`,
		"":                          `[]`,
		"a: - b":                    `["a:", "-", b]`,
	} {
		got := config.List(text)
		if got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		var list []string
		if err := yaml.Unmarshal([]byte(got), &list); err != nil {
			t.Errorf("%s is no list of strings: %v", got, err)
		}
	}
}
