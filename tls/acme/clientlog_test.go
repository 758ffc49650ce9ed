package acme

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestTheLogOfTheClientIsTakenOver(t *testing.T) {
	var out bytes.Buffer
	logger := zerolog.New(&out).Level(zerolog.InfoLevel)
	s := slog.New(&clientLog{log: func() *zerolog.Logger { return &logger }})
	s.Error("a failure that the manager reports", slog.String("identifier", name))
	if out.Len() != 0 {
		t.Errorf("a failure is logged twice: %s", &out)
	}
	logger = logger.Level(zerolog.DebugLevel)
	s.Debug("a detail")
	if out.Len() != 0 {
		t.Errorf("a detail is logged at debug: %s", &out)
	}
	s.With(slog.Int("attempt", 3)).Error("it failed", slog.Any("error", errors.New("why")), slog.String("body", strings.Repeat("x", 2*maxText)),
		slog.Any("page", errors.New(strings.Repeat("x", 2*maxText))),
		slog.Any("headers", map[string]string{"Cookie": "secret"}), slog.Any("response_headers", map[string]string{"Set-Cookie": "secret"}))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	short := strings.Repeat("x", maxText) + "…"
	for key, want := range map[string]any{
		"level": "debug", "component": "acme", "attempt": 3.0, "error": "why", "message": "it failed", "body": short, "page": short,
		"headers": nil, "response_headers": nil, "time": nil,
	} {
		if line[key] != want {
			t.Errorf("%s is %v, not %v", key, line[key], want)
		}
	}
}
