package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
)

// startUpstream builds and starts the upstream, and returns its addresses.
func startUpstream(ctx context.Context, dir string, p *pki) (*process, []string, error) {
	binary := filepath.Join(dir, "upstream")
	if out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "github.com/mcpgateway/mcpgateway/bench/upstream").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, "-cert", p.ServerCert, "-key", p.ServerKey, "-ca", p.CA, "-addresses", fmt.Sprint(clusters))
	stdin, err := cmd.StdinPipe() // held open: its end is the upstream's end
	if err != nil {
		return nil, nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer out.Close()
	cmd.Stdout = in
	upstream, err := start(cmd)
	in.Close()
	if err != nil {
		stdin.Close()
		return nil, nil, err
	}
	var addresses []string
	for lines := bufio.NewScanner(out); len(addresses) < clusters && lines.Scan(); {
		addresses = append(addresses, lines.Text())
	}
	if len(addresses) < clusters {
		<-upstream.done
		return nil, nil, upstream.err()
	}
	return upstream, addresses, nil
}

// findNginx also looks where Debian puts it, which is not in a user's PATH.
func findNginx() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return "/usr/sbin/nginx"
}

func startNginx(ctx context.Context, binary, dir string, p *pki, at, upstream string) (*process, error) {
	path, err := render(dir, "nginx.conf", nginxConf, map[string]any{
		"Dir": dir, "PKI": p, "At": at, "Upstream": upstream, "Root": os.Geteuid() == 0,
	})
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, binary, "-p", dir, "-c", path, "-e", "stderr"))
}

// nginxConf does what the gateway does: mutual TLS on both sides, connections
// kept open, answers passed on as they come.
const nginxConf = `
daemon off;
{{if .Root}}user root;{{end}}
worker_processes 2;
pid {{.Dir}}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	keepalive_requests 1000000000;
	upstream upstream {
		server {{.Upstream}};
		keepalive 64;
		keepalive_requests 1000000000;
	}
	server {
		listen {{.At}} ssl;
		ssl_certificate {{.PKI.ServerCert}};
		ssl_certificate_key {{.PKI.ServerKey}};
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_client_certificate {{.PKI.CA}};
		ssl_verify_client on;
		location / {
			proxy_pass https://upstream;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $http_host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_buffering off;
			proxy_ssl_protocols TLSv1.2 TLSv1.3;
			proxy_ssl_certificate {{.PKI.ClientCert}};
			proxy_ssl_certificate_key {{.PKI.ClientKey}};
			proxy_ssl_trusted_certificate {{.PKI.CA}};
			proxy_ssl_verify on;
			proxy_ssl_name localhost;
			proxy_ssl_server_name on;
		}
	}
}
`

// start starts the binary with its configuration in a file of its own.
func (g *gateway) start(ctx context.Context, binary, dir string, p *pki, upstreams []string) (err error) {
	for _, at := range []*string{&g.plainAt, &g.mcpAt} {
		if *at, err = freeAddress(ctx); err != nil {
			return err
		}
	}
	path, err := render(dir, g.name+".yaml", gatewayConf, map[string]any{
		"PKI": p, "Plain": g.plainAt, "MCP": g.mcpAt, "Upstreams": upstreams,
	})
	if err != nil {
		return err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	g.process, err = start(exec.CommandContext(ctx, binary, "run", "-c", path))
	return err
}

const gatewayConf = `
log: {level: warn, access: false}
listeners:
{{- range $name, $at := (dict "plain" .Plain "mcp" .MCP)}}
  - name: {{$name}}
    address: {{$at}}
    tls:
      certificates: [{cert: {{$.PKI.ServerCert}}, key: {{$.PKI.ServerKey}}}]
      client_auth: {mode: require, ca_cert: {{$.PKI.CA}}}
{{- end}}
routes:
  - {name: one, listeners: [mcp], match: {path: /one}, mcp: {clusters: [c0]}}
  - {name: three, listeners: [mcp], match: {path: /three}, mcp: {clusters: [c0, c1, c2]}}
  - {name: plain, listeners: [plain], match: {path_prefix: /}, cluster: plain}
clusters:
  - name: plain
    endpoints: ["https://{{index .Upstreams 0}}"]
    protocols: [http/1.1]
    tls: &tls {ca_cert: {{.PKI.CA}}, client_cert: {{.PKI.ClientCert}}, client_key: {{.PKI.ClientKey}}, server_name: localhost}
{{- range $i, $at := .Upstreams}}
  - name: c{{$i}}
    endpoints: ["https://{{$at}}/mcp"]
    protocols: [http/1.1]
    mcp: {transport: streamable_http}
    tls: *tls
{{- end}}
`

func render(dir, name, text string, data any) (path string, err error) {
	t, err := template.New(name).Funcs(template.FuncMap{"dict": dict}).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return "", err
	}
	path = filepath.Join(dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o600)
}

func dict(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}
