package examples

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSystemdUnitWaitsLongerThanTheGatewayDrains(t *testing.T) {
	unit, err := os.ReadFile("systemd/mcpgateway.service")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(unit)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			settings[key] = value
		}
	}
	for key, want := range map[string]string{
		"Type":         "notify-reload",
		"NotifyAccess": "main",
		"KillMode":     "mixed",
		"ExecStart":    "/usr/bin/mcpgateway run -c /etc/mcpgateway/config.yaml",
		"Environment":  "GODEBUG=http2xconnect=1",
	} {
		if settings[key] != want {
			t.Errorf("%s=%s, want %s", key, settings[key], want)
		}
	}
	stop, err := strconv.Atoi(settings["TimeoutStopSec"])
	if err != nil {
		t.Fatal(err)
	}
	// The default of shutdown.timeout, which systemd/config.yaml spells out.
	if drain := 30 * time.Second; time.Duration(stop)*time.Second <= drain {
		t.Errorf("TimeoutStopSec=%d is not above %v", stop, drain)
	}
}
