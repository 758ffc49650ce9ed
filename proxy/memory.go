package proxy

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// MemoryConfig is the section memory.
type MemoryConfig struct {
	Limit MemoryLimit `yaml:"limit" default:"auto" pattern:"auto|[0-9]+(KiB|MiB|GiB)?" doc:"How much memory the process may use; near it, what clients want is refused. auto: GOMEMLIMIT, else 80% of the cgroup's limit, else of the machine's memory."`
}

// MemoryLimit is a size, or auto.
type MemoryLimit struct {
	// Bytes is 0 for auto.
	Bytes config.Size
}

// leastMemory is what the process needs to serve anything.
const leastMemory = 32 << 20

// UnmarshalText reads auto or a size.
func (m *MemoryLimit) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*m = MemoryLimit{}
		return nil
	}
	size, err := config.ParseSize(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("it is not auto, and %w", err)
	case size < leastMemory:
		return errors.New("it is too small; the least is 32MiB")
	}
	m.Bytes = size
	return nil
}

// MarshalText is the inverse.
func (m MemoryLimit) MarshalText() ([]byte, error) {
	if m.Bytes == 0 {
		return []byte("auto"), nil
	}
	return []byte(m.Bytes.String()), nil
}

const (
	// systemShare is the part, in percent, of what the system allows that is
	// used: what the kernel keeps for our sockets counts as well.
	systemShare = 80
	// goMemoryLimit is the environment variable that the Go runtime reads.
	goMemoryLimit = "GOMEMLIMIT"
)

// commitMemory puts the limit of a generation in force.
func (g *Gateway) commitMemory(c MemoryConfig) {
	limit, from := g.memoryLimit(c.Limit)
	if before := g.budget.Stats().Limit; before == limit && limit != 0 {
		return
	}
	g.budget.SetLimit(limit)
	if _, set := g.environ(goMemoryLimit); !set && limit > 0 {
		g.options.SetMemoryLimit(limit / 100 * memory.RuntimeShare)
	}
	if limit == 0 {
		g.observer.Logs.ReloadLogger().Warn().Msg("the system does not tell how much memory there is, so that there is no limit; set memory.limit")
		return
	}
	g.observer.Logs.ReloadLogger().Info().Int64("bytes", limit).Str("from", from).Msg("the memory limit is set")
}

// memoryLimit is what a setting comes to, in bytes, and where that comes from; 0
// where it cannot be told.
func (g *Gateway) memoryLimit(limit MemoryLimit) (bytes int64, from string) {
	if limit.Bytes > 0 {
		return int64(limit.Bytes), "memory.limit"
	}
	if _, set := g.environ(goMemoryLimit); set {
		if now := g.options.SetMemoryLimit(-1); now > 0 && now < math.MaxInt64 { // it may be off
			return now, goMemoryLimit
		}
	}
	system, from := memory.System(os.DirFS("/"))
	return system / 100 * systemShare, from
}

func (g *Gateway) environ(name string) (string, bool) {
	value, ok := g.options.Env(name)
	return value, ok && strings.TrimSpace(value) != ""
}

// isReady reports whether others should send requests here.
func (g *Gateway) isReady() bool { return g.ready.Load() && g.budget.Level() < memory.Critical }

// memoryStatus is what operators see of the budget.
func (g *Gateway) memoryStatus() admin.Memory {
	s := g.budget.Stats()
	m := admin.Memory{Limit: s.Limit, Pressure: s.Pressure, Ratio: s.Ratio(), Level: g.budget.Level().String(), Charged: map[string]int64{}}
	for _, k := range memory.Kinds() {
		m.Charged[k.String()] = s.Charged[k]
	}
	return m
}
