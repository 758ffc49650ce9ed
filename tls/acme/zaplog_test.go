package acme

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/zap"
)

func TestTheLogOfCertmagicIsTakenOver(t *testing.T) {
	var out bytes.Buffer
	logger := zerolog.New(&out).Level(zerolog.InfoLevel)
	z := newZap(func() *zerolog.Logger { return &logger })
	z.Error("a failure that the manager reports", zap.String("identifier", name))
	if out.Len() != 0 {
		t.Errorf("a failure is logged twice: %s", &out)
	}
	logger = logger.Level(zerolog.DebugLevel)
	z.Debug("a detail")
	if out.Len() != 0 {
		t.Errorf("a detail is logged at debug: %s", &out)
	}
	z.Named("renew").With(zap.Int("attempt", 3)).Error("it failed", zap.Error(errors.New("why")),
		zap.Any("headers", map[string]string{"Cookie": "secret"}))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	for key, want := range map[string]any{
		"level": "debug", "component": "acme", "logger": "renew", "attempt": 3.0, "error": "why", "message": "it failed", "headers": nil,
	} {
		if line[key] != want {
			t.Errorf("%s is %v, not %v", key, line[key], want)
		}
	}
}
