package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// inherited are the only variables that a child process gets from the gateway:
// its other ones may hold secrets, which a child must not see.
var inherited = []string{"PATH", "HOME", "LANG", "TMPDIR"}

// Environ is the environment of a command whose own variables are given, in a
// stable order: PATH, HOME, LANG and TMPDIR come from base, no others do.
func Environ(base []string, own map[string]config.Value) []string {
	var env []string
	for _, name := range inherited {
		if _, set := own[name]; set {
			continue
		}
		if v := lookEnv(base, name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range own {
		env = append(env, name+"="+v.Text)
	}
	slices.Sort(env)
	return env
}

func lookEnv(environ []string, name string) string {
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v
		}
	}
	return ""
}

// LookPath finds the program of a command in the PATH that the child will see. A
// relative path is one in dir.
func LookPath(file, dir string, environ []string) (string, error) {
	if strings.Contains(file, "/") {
		path := file
		if !filepath.IsAbs(path) {
			if dir == "" {
				return "", fmt.Errorf("%s is a relative path; make it absolute, or set dir", file)
			}
			path = filepath.Join(dir, file)
		}
		return path, executable(path)
	}
	if file == "" {
		return "", errors.New("names no program")
	}
	for _, d := range filepath.SplitList(lookEnv(environ, "PATH")) {
		// An empty or relative element means the working directory, which is
		// no place to find programs by accident.
		if path := filepath.Join(d, file); filepath.IsAbs(path) && executable(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no program %q in PATH; install it, or give its absolute path", file)
}

func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not executable", path)
	}
	return nil
}
