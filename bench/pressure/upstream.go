package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

const (
	// large is how long a large answer is, and the body of an upload, in bytes.
	large = 3_900_000
	// huge is the same of a huge one, and of a file.
	huge = 10_000_000
	// each is how long a notification is, and how many come with a call.
	each, many = 100_000, 100
)

// serve runs the MCP server.
func serve() (url string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(answer)}
	go func() { _ = s.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() { _ = s.Close() }, nil
}

// text is a tool's result.
func text(length int) string {
	return `{"content":[{"type":"text","text":"` + strings.Repeat("x", length) + `"}]}`
}

// answer answers a message. Its tools are small, large, which answers with 3.9 MB,
// huge, which answers with 10 MB, and events, which says a hundred things of 100 kB before.
func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/file" {
		w.Header().Set("Content-Length", strconv.Itoa(huge))
		_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", huge))) // the client may leave
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var m struct {
		ID     any
		Method string
		Params struct{ Name string }
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	result, before := "{}", 0
	switch {
	case m.Method == "initialize":
		w.Header().Set("Mcp-Session-Id", rand.Text())
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"server","version":"1"}}`
	case m.Method == "server/discover":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%v,"error":{"code":-32601,"message":"unknown method"}}`, m.ID)
		return
	case m.Params.Name == "events":
		before = many
		fallthrough
	case m.Params.Name == "small":
		result = text(2)
	case m.Params.Name == "large":
		result = text(large)
	case m.Params.Name == "huge":
		result = text(huge)
	}
	if before == 0 {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%v,"result":%s}`, m.ID, result)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	data := strings.Repeat("x", each)
	for range before {
		fmt.Fprintf(w, `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%s"}}`+"\n\n", data)
	}
	fmt.Fprintf(w, `data: {"jsonrpc":"2.0","id":%v,"result":%s}`+"\n\n", m.ID, result)
}
