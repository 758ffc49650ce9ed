package logging

import (
	"os"
	"path/filepath"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Config is the section log.
type Config struct {
	Level  string      `yaml:"level" default:"info" enum:"trace,debug,info,warn,error" doc:"The least severe level that is written."`
	Format string      `yaml:"format" default:"json" enum:"json,console" doc:"JSON lines, or text for people."`
	File   config.Path `yaml:"file" doc:"Where to; empty is stderr. SIGUSR1 reopens it."`
	Access bool        `yaml:"access" default:"true" doc:"One line a request."`
}

// Validate refuses a log file whose folder is not there.
func (c *Config) Validate(s *config.Scope) {
	if c.File == "" {
		return
	}
	dir := filepath.Dir(string(c.File))
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		s.Errorf("file", "the folder %s does not exist", dir)
	}
}
