package transport_test

import (
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestAStrictServersRefusalSaysWhatToDo(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	server := peertest.Serve(t, "", ca, peertest.Everything())
	none := cluster(t, "none", "https://"+server.Addr+"/")
	none.TLS = peertest.Identity(t, ca, "x")
	none.TLS.ClientCert.Path, none.TLS.ClientKey.Path = "", ""
	wrong := cluster(t, "wrong", "https://"+server.Addr+"/")
	wrong.TLS = peertest.Identity(t, other, "x")
	wrong.TLS.CACert = peertest.Identity(t, ca, "x").CACert
	plain := cluster(t, "plain", "http://"+server.Addr+"/")
	secure := cluster(t, "secure", "https://"+peertest.Serve(t, "", nil, peertest.Everything()).Addr+"/")
	clients := map[string]*client{"none": connect(t, none), "wrong": connect(t, wrong), "secure": connect(t, secure), "plain": connect(t, plain)}
	for name, want := range map[string]string{
		"none":   "set tls.client_cert and tls.client_key",
		"wrong":  "the server seems to refuse the client certificate",
		"secure": "is it http://?",
	} {
		_, err := clients[name].RoundTrip(peertest.Request(t, "POST", "/", ""))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "cluster "+name) || !strings.Contains(err.Error(), server.Addr[:9]) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}
