package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// prefix is that of the cluster whose names the suite knows.
const prefix = "one__"

// shim is a proxy in front of a federation. It replaces the fixed names that the
// suite calls by those of the cluster, and back in the answers.
func shim(ctx context.Context, target, cluster string) (at string, stop func(), err error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	proxy, to := forward(u), *u
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
		r.Out.Host = r.In.Host // it is checked
		name := r.Out.Header.Get("Mcp-Name")
		method := r.Out.Header.Get("Mcp-Method")
		if body, err := io.ReadAll(r.In.Body); err == nil {
			body = namespace(body, cluster)
			r.Out.Body, r.Out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		switch {
		case name == "" || strings.HasPrefix(name, "=?"):
		case method == spec.ResourcesRead:
			r.Out.Header.Set("Mcp-Name", cluster+"+"+name)
		default:
			r.Out.Header.Set("Mcp-Name", prefix+name)
		}
	}
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del("Content-Length")
		r.ContentLength = -1
		r.Body = &plain{Closer: r.Body, cluster: cluster, lines: bufio.NewReader(r.Body)}
		return nil
	}
	s := &http.Server{Handler: proxy}
	go func() { _ = s.Serve(l) }() // until Close
	u.Host = l.Addr().String()
	return u.String(), func() { _ = s.Close() }, nil
}

// namespace puts the names of the cluster into a request.
func namespace(body []byte, cluster string) []byte {
	var m map[string]json.RawMessage
	var method string
	var params map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil || json.Unmarshal(m["method"], &method) != nil || json.Unmarshal(m["params"], &params) != nil {
		return body
	}
	put := func(object map[string]json.RawMessage, key, with string) {
		var name string
		if json.Unmarshal(object[key], &name) == nil {
			object[key], _ = json.Marshal(with + name) // strings always encode
		}
	}
	switch method {
	case spec.ToolsCall, spec.PromptsGet:
		put(params, "name", prefix)
	case spec.ResourcesRead, spec.ResourcesSubscribe, spec.ResourcesUnsubscribe:
		put(params, "uri", cluster+"+")
	case spec.CompletionComplete:
		var ref map[string]json.RawMessage
		if json.Unmarshal(params["ref"], &ref) == nil {
			put(ref, "name", prefix)
			put(ref, "uri", cluster+"+")
			params["ref"], _ = json.Marshal(ref)
		}
	default:
		return body
	}
	m["params"], _ = json.Marshal(params)
	body, _ = json.Marshal(m)
	return body
}

// plain reads an answer line by line and takes the names of the cluster out.
type plain struct {
	io.Closer
	cluster string
	lines   *bufio.Reader
	rest    []byte
}

func (p *plain) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		line, err := p.lines.ReadBytes('\n')
		if len(line) == 0 {
			return 0, err
		}
		line = bytes.ReplaceAll(line, []byte(`"`+prefix), []byte(`"`))
		p.rest = bytes.ReplaceAll(line, []byte(`"`+p.cluster+"+"), []byte(`"`))
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
