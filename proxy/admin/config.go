package admin

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Config is the section admin.
type Config struct {
	Address string `yaml:"address" default:"127.0.0.1:9901" doc:"host:port on loopback, or unix:/path (mode 0600)."`

	_ struct{} `later:"tls,token_file"`
}

// Validate refuses an address that others than this machine could reach: the
// API has no authentication of its own.
func (c *Config) Validate(s *config.Scope) {
	if path, ok := strings.CutPrefix(c.Address, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			s.Errorf("address", "the path of a unix socket must be absolute, as in unix:/run/mcpgateway/admin.sock")
		}
		return
	}
	host, port, err := net.SplitHostPort(c.Address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		s.Errorf("address", "%q is neither host:port nor unix:/path", c.Address)
		return
	}
	if host == "localhost" {
		return
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		s.Errorf("address", "%s is not on loopback; use 127.0.0.1, [::1] or unix:/path", c.Address)
	}
}
