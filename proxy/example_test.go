package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/mcpgateway/mcpgateway/proxy"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// certFolder makes the files that the examples name, beside a copy of file.
func certFolder(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := tlstest.NewCA(t, "Example CA")
	cert, key := ca.Server(t, "localhost")
	clientCert, clientKey := ca.Client(t, "client")
	if err := os.Mkdir(filepath.Join(dir, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"config.yaml": data, "certs/ca.crt": ca.PEM(), "certs/server.crt": cert, "certs/server.key": key,
		"certs/client.crt": clientCert, "certs/client.key": clientKey, "certs/jwt.secret": bytes.Repeat([]byte("s"), 32),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config.yaml")
}

func TestTheExampleFileLoads(t *testing.T) {
	if _, err := proxy.Check(context.Background(), certFolder(t, "../config.example.yaml"), nil); err != nil {
		t.Errorf("%v\n(certFolder writes the files that the example names)", err)
	}
}

// The example shows every key that the structs declare, and where a key has a
// default, the example shows that very default somewhere.
func TestTheExampleShowsEverySettingWithItsDefault(t *testing.T) {
	data, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	shown, lines, text := map[string][]string{}, map[string][]int{}, strings.Split(string(data), "\n")
	collect(doc.Content[0], "", shown, lines)
	declared(reflect.TypeFor[proxy.Config](), "", func(path string, f reflect.StructField) {
		values, ok := shown[path]
		if !ok {
			t.Errorf("%s is not shown", path)
			return
		}
		if enum := f.Tag.Get("enum"); !slices.ContainsFunc(lines[f.Tag.Get("yaml")], func(line int) bool { return names(text[line-1], enum) }) {
			t.Errorf("%s can be any of %s, and no line of config.example.yaml that shows it has all of them", path, enum)
		}
		def, has := f.Tag.Lookup("default")
		if !has {
			return
		}
		var want yaml.Node
		if err := yaml.Unmarshal([]byte(fmt.Sprintf("%q", def)), &want); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if flat(v) == flat(def) {
				return
			}
		}
		t.Errorf("%s is shown as %q, its default is %q", path, values, def)
	})
}

// names reports whether a line has each value of an enum as a word.
func names(line, enum string) bool {
	for value := range strings.SplitSeq(enum, ",") {
		if !regexp.MustCompile(`(^|[^\w.-])` + regexp.QuoteMeta(value) + `($|[^\w.-])`).MatchString(line) {
			return false
		}
	}
	return true
}

func flat(s string) string { return strings.NewReplacer(" ", "", `"`, "", "[", "", "]", "").Replace(s) }

// collect notes the values shown for each path, with list indices left out, and the
// lines that have a key, whatever it is a key of.
func collect(n *yaml.Node, path string, shown map[string][]string, lines map[string][]int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			p := strings.TrimPrefix(path+"."+key, ".")
			v := n.Content[i+1]
			text := v.Value
			if v.Kind == yaml.SequenceNode {
				var items []string
				for _, item := range v.Content {
					items = append(items, item.Value)
				}
				text = strings.Join(items, ",")
			}
			shown[p], lines[key] = append(shown[p], text), append(lines[key], n.Content[i].Line)
			collect(v, p, shown, lines)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collect(item, path, shown, lines)
		}
	}
}

// declared visits every key that the structs of this module declare.
func declared(t reflect.Type, path string, visit func(string, reflect.StructField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || strings.HasSuffix(t.PkgPath(), "proxy/config") {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		p := strings.TrimPrefix(path+"."+key, ".")
		visit(p, f)
		declared(f.Type, p, visit)
	}
}
