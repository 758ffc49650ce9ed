package proxy

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

// MemoryConfig is the section memory.
type MemoryConfig struct {
	Limit MemoryLimit `yaml:"limit" default:"auto" pattern:"auto|[0-9]+(KiB|MiB|GiB)?" doc:"How much memory the process may use; near it, the gateway refuses what would take more. auto: GOMEMLIMIT, else 80% of the cgroup's limit, else of the machine's memory."`
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

// A memoryLimiter sets the limit of the budget, and that of the runtime where the
// environment does not. It belongs to the goroutine that runs reloads.
type memoryLimiter struct {
	budget          *memory.Budget
	logs            *logging.Logs
	env             func(string) (string, bool)
	setRuntimeLimit func(bytes int64) (before int64)
}

// set puts the limit of a generation in force.
func (m *memoryLimiter) set(c MemoryConfig) {
	limit, from := m.bytes(c.Limit)
	if before := m.budget.Stats().Limit; before == limit && limit != 0 {
		return
	}
	m.budget.SetLimit(limit)
	if _, set := m.environ(goMemoryLimit); !set && limit > 0 {
		m.setRuntimeLimit(limit / 100 * memory.RuntimeShare)
	}
	if limit == 0 {
		m.logs.ReloadLogger().Warn().Msg("the system does not tell how much memory there is, so that there is no limit; set memory.limit")
		return
	}
	m.logs.ReloadLogger().Info().Int64("bytes", limit).Str("from", from).Msg("the memory limit is set")
}

// bytes is what a setting comes to, in bytes, and where that comes from; 0
// where it cannot be told.
func (m *memoryLimiter) bytes(limit MemoryLimit) (bytes int64, from string) {
	if limit.Bytes > 0 {
		return int64(limit.Bytes), "memory.limit"
	}
	if _, set := m.environ(goMemoryLimit); set {
		if now := m.setRuntimeLimit(-1); now > 0 && now < math.MaxInt64 { // it may be off
			return now, goMemoryLimit
		}
	}
	system, from := memory.System(os.DirFS("/"))
	return system / 100 * systemShare, from
}

func (m *memoryLimiter) environ(name string) (string, bool) {
	value, ok := m.env(name)
	return value, ok && strings.TrimSpace(value) != ""
}
