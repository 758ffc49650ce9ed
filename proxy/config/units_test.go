package config

import (
	"strings"
	"testing"
)

func TestAValueWithAnotherUnitIsToldAsItIsToBeWritten(t *testing.T) {
	for value, want := range map[string]string{
		"5": "write 5s, 5ms or 5m", "1d": "write 24h", "2 days": "write 48h", "1w": "write 168h", "0.5d": "write 12h", "15 s": "write 15s", "15S": "write 15s",
		"10min": "write 10m", "10 minutes": "write 10m", "30sec": "write 30s", "1 hour": "write 1h", "1h 30m": "write 1h30m", "200 msec": "write 200ms",
		"soon": "units are ms, s, m and h", "3 moons": "units are ms, s, m and h", "": "units are ms, s, m and h", "99999999999d": "units are", "9999999999h": "out of range",
	} {
		if _, err := parseDuration(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the duration %q %v; want %q", value, err, want)
		}
	}
	for value, want := range map[string]string{
		"512MB": "write 512MiB", "64kb": "write 64KiB", "64 KiB": "write 64KiB", "1.5GiB": "write 1536MiB", "1g": "write 1GiB", "2TiB": "write 2048GiB",
		"512B": "write 512", "100 bytes": "write 100", "1.3MB": "the number is whole", "much": "units are KiB, MiB and GiB", "-1MiB": "units are", "": "units are",
		"99999999TB": "units are", "99999999999GiB": "out of range",
	} {
		if _, err := ParseSize(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the size %q %v; want %q", value, err, want)
		}
	}
}
