package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// startUpstream builds and starts the upstream, and returns its addresses.
func startUpstream(ctx context.Context, dir string, p *pki) (*process, []string, error) {
	binary, err := (&files{dir: dir}).build(ctx, "upstream")
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "-cert", p.ServerCert, "-key", p.ServerKey, "-ca", p.CA, "-addresses", fmt.Sprint(clusters))
	stdin, err := cmd.StdinPipe() // held open: the upstream ends when it is closed
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

// findNginx also looks in the folder of Debian's package, which is not in the PATH
// of users.
func findNginx() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	return "/usr/sbin/nginx"
}

// files makes what the proxies are configured with.
type files struct {
	dir       string
	pki       *pki
	upstreams []string // addresses
}

// configured is a proxy whose binary takes a configuration file, which is made of
// a template. arguments get the file's path.
func (f *files) configured(name, binary, file, text string, arguments func(path string) []string) *proxy {
	p := &proxy{name: name}
	p.command = func(ctx context.Context) (*exec.Cmd, error) {
		path, err := render(f.dir, file, text, map[string]any{
			"Dir": f.dir, "PKI": f.pki, "At": p.at, "MCP": p.mcpAt, "Upstreams": f.upstreams, "Root": os.Geteuid() == 0,
		})
		if err != nil {
			return nil, err
		}
		absolute, err := filepath.Abs(binary)
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, absolute, arguments(path)...), nil
	}
	return p
}

func (f *files) nginx(binary string) *proxy {
	return f.configured("nginx", binary, "nginx.conf", nginxConf, func(path string) []string {
		return []string{"-p", f.dir, "-c", path, "-e", "stderr"}
	})
}

func (f *files) gateway(name, binary string) *proxy {
	return f.configured(name, binary, name+".yaml", gatewayConf, func(path string) []string {
		return []string{"run", "-c", path}
	})
}

func (f *files) envoy(binary string) *proxy {
	return f.configured("Envoy", binary, "envoy.yaml", envoyConf, func(path string) []string {
		return []string{"-c", path, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "error"}
	})
}

// floor is the hand-written loop, built here.
func (f *files) floor() *proxy {
	p := &proxy{name: "Go loop"}
	p.command = func(ctx context.Context) (*exec.Cmd, error) {
		binary, err := f.build(ctx, "floor")
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, binary, "-at", p.at, "-upstream", f.upstreams[0], "-ca", f.pki.CA,
			"-cert", f.pki.ServerCert, "-key", f.pki.ServerKey, "-client-cert", f.pki.ClientCert, "-client-key", f.pki.ClientKey), nil
	}
	return p
}

// build builds a program of the benchmark.
func (f *files) build(ctx context.Context, name string) (binary string, err error) {
	binary = filepath.Join(f.dir, name)
	out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "github.com/mcpgateway/mcpgateway/bench/"+name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, nil
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
		server {{index .Upstreams 0}};
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

// envoyConf is the same for Envoy.
const envoyConf = `
static_resources:
  listeners:
    - address: {socket_address: {address: 127.0.0.1, port_value: {{port .At}}}}
      filter_chains:
        - transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              require_client_certificate: true
              common_tls_context:
                tls_certificates: [{certificate_chain: {filename: {{.PKI.ServerCert}}}, private_key: {filename: {{.PKI.ServerKey}}}}]
                validation_context: {trusted_ca: {filename: {{.PKI.CA}}}}
          filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: http
                codec_type: HTTP1
                use_remote_address: true
                stream_idle_timeout: 300s
                route_config:
                  virtual_hosts:
                    - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: upstream, timeout: 0s}}]}
                http_filters:
                  - name: router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
    - name: upstream
      connect_timeout: 5s
      load_assignment:
        cluster_name: upstream
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{port (index .Upstreams 0)}}}}}}]}]
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: localhost
          common_tls_context:
            tls_certificates: [{certificate_chain: {filename: {{.PKI.ClientCert}}}, private_key: {filename: {{.PKI.ClientKey}}}}]
            validation_context: {trusted_ca: {filename: {{.PKI.CA}}}}
`

const gatewayConf = `
log: {level: warn, access: false}
listeners:
{{- range $name, $at := (dict "plain" .At "mcp" .MCP)}}
  - name: {{$name}}
    address: {{$at}}
    tls:
      certificates: [{cert: {{$.PKI.ServerCert}}, key: {{$.PKI.ServerKey}}}]
      client_auth: {mode: require, ca_cert: {{$.PKI.CA}}}
{{- end}}
routes:
  - {name: one, listeners: [mcp], match: {path: /one}, mcp: {clusters: [c0], limits: {sessions_per_principal: 10000}}}
  - {name: three, listeners: [mcp], match: {path: /three}, mcp: {clusters: [c0, c1, c2], limits: {sessions_per_principal: 10000}}}
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
	t, err := template.New(name).Funcs(template.FuncMap{"dict": dict, "port": port}).Parse(text)
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

// port is the port of an address.
func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func dict(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}
