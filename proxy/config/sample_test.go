package config_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// sample is a small file that uses every type and tag that the decoder knows.
type sample struct {
	Log       sampleLog               `yaml:"log" doc:"What is logged."`
	Limits    sampleLimits            `yaml:"limits"`
	Listeners []sampleListener        `yaml:"listeners" required:"true"`
	Clusters  []sampleCluster         `yaml:"clusters"`
	Routes    []sampleRoute           `yaml:"routes"`
	Headers   map[string]config.Value `yaml:"headers" example:"{X-Team: edge}"`
	Labels    map[string]string       `yaml:"labels"`
	Pools     map[string]samplePool   `yaml:"pools"`
	Token     config.Secret           `yaml:"token"`
	Verbose   *bool                   `yaml:"verbose"`
	Socket    config.Path             `yaml:"socket"`
	Bind      netip.Addr              `yaml:"bind"`

	Derived string `yaml:"-"`
	hidden  string

	_ struct{} `later:"acme,state_key_files"`
}

type sampleLog struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"The least that is logged."`
	File   string `yaml:"file"`
	Format string `yaml:"format" enum:"json,console"`
	Access bool   `yaml:"access" default:"true"`
}

type sampleLimits struct {
	Connections int            `yaml:"connections" default:"10000" min:"1" max:"100000"`
	Small       int8           `yaml:"small"`
	Streams     uint           `yaml:"streams" default:"100"`
	Weight      float64        `yaml:"weight" default:"0.5" max:"1"`
	Header      config.Size    `yaml:"header" default:"64KiB" min:"1KiB" max:"1MiB"`
	Timeout     time.Duration  `yaml:"timeout" default:"10s" min:"1s" max:"1h" doc:"From first byte to last."`
	Idle        time.Duration  `yaml:"idle" default:"0s"`
	Jitter      config.Percent `yaml:"jitter" default:"10%" max:"100%"`
}

type sampleListener struct {
	Name      string         `yaml:"name" required:"true" pattern:"[a-z][a-z0-9-]{0,31}" example:"public"`
	Address   string         `yaml:"address" required:"true"`
	Protocols []string       `yaml:"protocols" default:"[http/1.1, h2]" enum:"http/1.1,h2" later:"h3"`
	Trusted   []netip.Prefix `yaml:"trusted"`
	TLS       *sampleTLS     `yaml:"tls"`
}

type sampleTLS struct {
	Cert       config.File   `yaml:"cert"`
	Key        config.Secret `yaml:"key"`
	MinVersion string        `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`

	_ struct{} `later:"crl"`
}

func (t *sampleTLS) Validate(s *config.Scope) {
	switch {
	case t.Cert.IsZero() != t.Key.IsZero():
		s.Errorf("", "cert and key come together")
	case string(t.Cert.Data) != string(t.Key.Data):
		s.Transientf("key", "does not belong to the certificate %s", t.Cert.Path)
	}
}

type sampleCluster struct {
	Name      string        `yaml:"name" required:"true" pattern:"[a-z][a-z0-9-]{0,31}"`
	Endpoints []string      `yaml:"endpoints"`
	Health    *sampleHealth `yaml:"health"`
}

func (c *sampleCluster) Validate(s *config.Scope) {
	if len(c.Endpoints) == 0 {
		s.Errorf("endpoints", "at least one is needed")
	}
}

type sampleHealth struct {
	Interval time.Duration `yaml:"interval" default:"10s"`
	Path     string        `yaml:"path" default:"/"`
}

func (h sampleHealth) Validate(s *config.Scope) {
	if h.Interval < time.Second && s.IsSet("interval") {
		s.Warnf("interval", "%v is often", h.Interval)
	}
}

type sampleRoute struct {
	Clusters []sampleRef  `yaml:"clusters"`
	Match    sampleMatch  `yaml:"match"`
	Backup   *sampleRoute `yaml:"backup"`
}

func (r *sampleRoute) Validate(s *config.Scope) {
	if len(r.Clusters) == 0 {
		s.Errorf("", "a route needs clusters")
	}
}

type sampleMatch struct {
	Path   string `yaml:"path" required:"true"`
	Method string `yaml:"method" pattern:"[A-Z]+"`
}

type sampleRef struct {
	Name   string `yaml:"name" required:"true" shorthand:"true"`
	Prefix string `yaml:"prefix" default:"none"`
}

type samplePool struct {
	Size int `yaml:"size" default:"3"`
	Seen bool
}

func (p *samplePool) Validate(s *config.Scope) {
	p.Seen = true
	if p.Size == 13 {
		s.Errorf("size", "13 is unlucky")
	}
}

func (c *sample) Validate(s *config.Scope) {
	var names []string
	for i, cl := range c.Clusters {
		names = append(names, cl.Name)
		for j, other := range c.Clusters[:i] {
			if other.Name == cl.Name {
				s.Errorf(fmt.Sprintf("clusters[%d].name", i), "the name %q is taken by clusters[%d]", cl.Name, j)
			}
		}
	}
	for i, r := range c.Routes {
		for j, ref := range r.Clusters {
			found := false
			for _, n := range names {
				found = found || n == ref.Name
			}
			if !found && ref.Name != "" {
				s.Errorf(fmt.Sprintf("routes[%d].clusters[%d].name", i, j), "there is no cluster %q%s", ref.Name, config.Suggest(ref.Name, names))
			}
		}
	}
}
