package proxy

import (
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/listeners"
)

func TestMoreConnectionsThanDescriptorsAreWarnedOf(t *testing.T) {
	cfg := &Config{Listeners: []listeners.Config{
		{Name: "small", Limits: listeners.Limits{MaxConnections: 500}},
		{Name: "large", Limits: listeners.Limits{MaxConnections: 10000}},
	}}
	got := shortOfDescriptors(cfg, descriptors.New(1024))
	if len(got) != 1 || !strings.HasPrefix(got[0], "listener large: limits.max_connections is 10000, and the process may open descriptors for 512;") {
		t.Errorf("%q", got)
	}
	if got := shortOfDescriptors(cfg, nil); len(got) > 0 {
		t.Errorf("without a limit: %q", got)
	}
}
