package docs_test

import (
	"go/ast"
	gotoken "go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The page has a row for each message of the source, with its levels and fields,
// and no other; and its table of fields has each field of these rows, and no other.
func TestTheLogPageHasEveryMessageAndField(t *testing.T) {
	rows, fields := map[string]bool{}, map[string]bool{}
	for _, line := range logLines(t) {
		for _, text := range line.messages {
			rows[row(text, slices.Collect(maps.Keys(line.levels)), slices.Collect(maps.Keys(line.fields)))] = true
		}
		maps.Copy(fields, line.fields)
	}
	if len(rows) < 40 || len(fields) < 50 {
		t.Fatalf("only %d messages and %d fields were found", len(rows), len(fields))
	}
	maps.Copy(fields, map[string]bool{"level": true, "time": true, "message": true}) // of zerolog itself
	delete(fields, "…")
	toldRows, toldFields := logPage(t)
	for _, c := range []struct {
		what           string
		source, onPage map[string]bool
	}{{"message", rows, toldRows}, {"field", fields, toldFields}} {
		for one := range c.source {
			if !c.onPage[one] {
				t.Errorf("LOG.md lacks the %s %s", c.what, one)
			}
		}
		for one := range c.onPage {
			if !c.source[one] {
				t.Errorf("LOG.md has the %s %s, which the source does not", c.what, one)
			}
		}
	}
}

// The page lists each reason why the gateway decides an answer, and no other.
func TestTheLogPageHasEveryFlag(t *testing.T) {
	text, err := os.ReadFile("LOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| flag | why |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var told, flags []string
	for line := range strings.Lines(table) {
		if m := code.FindStringSubmatch(line); m != nil {
			told = append(told, m[1])
		}
	}
	for _, f := range packages(t)["proxy/filter"] {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, "Flag") {
				if text, ok := literal(v.Values[0]); ok {
					flags = append(flags, text)
				}
			}
			return true
		})
	}
	slices.Sort(told)
	slices.Sort(flags)
	if len(flags) < 10 || !slices.Equal(told, flags) {
		t.Errorf("the flags are\n%q, and LOG.md has\n%q", flags, told)
	}
}

// row is a message with what comes with it, as it is compared.
func row(message string, levels, fields []string) string {
	slices.Sort(levels)
	slices.Sort(fields)
	return message + " [" + strings.Join(levels, " ") + "] [" + strings.Join(fields, " ") + "]"
}

var code = regexp.MustCompile("`([^`]+)`")

// logPage are the messages of LOG.md, and the fields of the table of fields. A
// message that is made while the gateway runs begins with … there.
func logPage(t *testing.T) (rows, fields map[string]bool) {
	t.Helper()
	text, err := os.ReadFile("LOG.md")
	if err != nil {
		t.Fatal(err)
	}
	list := func(cell string) (names []string) {
		for _, m := range code.FindAllStringSubmatch(cell, -1) {
			names = append(names, m[1])
		}
		if strings.Contains(cell, "…") {
			names = append(names, "…")
		}
		return names
	}
	rows, fields = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		message := strings.TrimSpace(cells[0])
		switch {
		case !strings.HasPrefix(line, "| `") && !strings.HasPrefix(line, "| …"):
		case len(cells) == 4:
			if m := code.FindStringSubmatch(message); m != nil && strings.HasPrefix(message, "`") {
				message = m[1]
			} else {
				message = "…"
			}
			rows[row(message, strings.Split(cells[1], ", "), list(cells[2]))] = true
		case len(cells) == 3:
			for _, name := range list(message) {
				fields[name] = true
			}
		}
	}
	return rows, fields
}

// logLine is one place of the source that logs.
type logLine struct {
	messages       []string
	levels, fields map[string]bool
}

// logLines are the places that log, by file and position.
func logLines(t *testing.T) map[string]logLine {
	t.Helper()
	lines := map[string]logLine{}
	for dir, files := range packages(t) {
		if strings.HasPrefix(dir, "bench") || strings.HasPrefix(dir, "examples") {
			continue
		}
		functions := map[string]*ast.FuncDecl{}
		for _, f := range files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					functions[fn.Name.Name] = fn
				}
			}
		}
		for path, f := range files {
			var enclosing []ast.Node
			ast.Inspect(f, func(n ast.Node) bool {
				if n == nil {
					enclosing = enclosing[:len(enclosing)-1]
					return true
				}
				enclosing = append(enclosing, n)
				call, method, on := methodCall(n)
				if method != "Msg" || len(call.Args) != 1 {
					return true
				}
				r := logReader{functions: functions, within: innermost(enclosing), seen: map[ast.Node]bool{}, line: logLine{levels: map[string]bool{}, fields: map[string]bool{}}}
				r.chain(on)
				r.line.messages = r.texts(call.Args[0])
				lines[path+":"+strconv.Itoa(int(call.Pos()))] = r.line
				return true
			})
		}
	}
	return lines
}

func innermost(enclosing []ast.Node) ast.Node {
	for _, n := range slices.Backward(enclosing) {
		switch n.(type) {
		case *ast.FuncLit, *ast.FuncDecl:
			return n
		}
	}
	return enclosing[0]
}

// methodCall is a call x.method(…).
func methodCall(n ast.Node) (call *ast.CallExpr, method string, x ast.Expr) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, "", nil
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return call, "", nil
	}
	return call, sel.Sel.Name, sel.X
}

// logReader reads what one chain of zerolog's methods logs.
type logReader struct {
	functions map[string]*ast.FuncDecl // of the package
	within    ast.Node                 // the function around the chain
	seen      map[ast.Node]bool
	line      logLine
}

// chain notes the levels and fields of an expression that is a zerolog.Event.
func (r *logReader) chain(e ast.Expr) {
	if id, ok := e.(*ast.Ident); ok {
		for _, value := range r.values(id) {
			r.chain(value)
		}
		return
	}
	call, method, on := methodCall(e)
	switch {
	case method == "" || r.seen[call]:
		return
	case len(call.Args) == 0 && slices.Contains([]string{"Trace", "Debug", "Info", "Warn", "Error"}, method):
		r.line.levels[strings.ToLower(method)] = true
		return
	case method == "WithLevel":
		r.levels(call.Args[0])
		return
	case method == "Err":
		r.line.fields["error"] = true
	case method == "Fields":
		r.line.fields["…"] = true
	case len(call.Args) == 2:
		for _, name := range r.names(call.Args[0]) {
			r.line.fields[name] = true
		}
	}
	r.seen[call] = true
	r.chain(on)
}

// values are what a variable of the function around is given.
func (r *logReader) values(id *ast.Ident) (values []ast.Expr) {
	ast.Inspect(r.within, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, to := range a.Lhs {
				if to, ok := to.(*ast.Ident); ok && to.Name == id.Name {
					values = append(values, a.Rhs[i])
				}
			}
		}
		return true
	})
	return values
}

// levels notes those that the package's function may return which e calls.
func (r *logReader) levels(e ast.Expr) {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return
	}
	ast.Inspect(r.functions[call.Fun.(*ast.Ident).Name].Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if level, ok := strings.CutSuffix(s.Sel.Name, "Level"); ok && level != "" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "zerolog" {
					r.line.levels[strings.ToLower(level)] = true
				}
			}
		}
		return true
	})
}

// names are what the name of a field can be: a literal, or a member of the
// literals that a loop runs over.
func (r *logReader) names(e ast.Expr) (names []string) {
	if text, ok := literal(e); ok {
		return []string{text}
	}
	member, ok := e.(*ast.SelectorExpr)
	if !ok {
		return []string{"…"}
	}
	ast.Inspect(r.within, func(n ast.Node) bool {
		loop, ok := n.(*ast.RangeStmt)
		if !ok || loop.Value == nil || loop.Value.(*ast.Ident).Name != member.X.(*ast.Ident).Name {
			return true
		}
		for _, one := range loop.X.(*ast.CompositeLit).Elts {
			text, _ := literal(one.(*ast.CompositeLit).Elts[0])
			names = append(names, text)
		}
		return true
	})
	return names
}

// texts are what a message can be; what is known only at run time is … in them.
func (r *logReader) texts(e ast.Expr) []string {
	if text, ok := literal(e); ok {
		return []string{text}
	}
	var all []string
	switch e := e.(type) {
	case *ast.BinaryExpr:
		for _, left := range r.texts(e.X) {
			for _, right := range r.texts(e.Y) {
				all = append(all, left+right)
			}
		}
	case *ast.Ident:
		for _, value := range r.values(e) {
			all = append(all, r.texts(value)...)
		}
	case *ast.CallExpr:
		name, ok := e.Fun.(*ast.Ident)
		if !ok || r.functions[name.Name] == nil {
			break
		}
		ast.Inspect(r.functions[name.Name].Body, func(n ast.Node) bool {
			if ret, ok := n.(*ast.ReturnStmt); ok {
				text, constant := literal(ret.Results[0])
				if !constant {
					text = "…"
				}
				all = append(all, text)
			}
			return true
		})
	}
	if len(all) == 0 {
		return []string{"…"}
	}
	return all
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != gotoken.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
