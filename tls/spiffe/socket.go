package spiffe

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// longestPath is what the kernel takes as the path of a socket: all but the
// byte that ends it.
const longestPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// CheckSocket says what is wrong with the address of a Workload API. Good are
// unix:///run/spire/agent.sock, the absolute path alone, and tcp://127.0.0.1:8081
// with an IP address (SPIFFE Workload Endpoint, section 4).
func CheckSocket(s string) error {
	_, err := address(s)
	return err
}

// address writes s the way that go-spiffe wants it, and the same for every
// spelling of a socket.
func address(s string) (string, error) {
	const want = "want unix:///absolute/path, /absolute/path or tcp://IP:port"
	if s == "" {
		return "", errors.New("spiffe: no socket is given; " + want)
	}
	if strings.HasPrefix(s, "/") {
		return unixAddress(s, s)
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("spiffe: socket %q is no URI; %s", s, want)
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" {
			return "", fmt.Errorf("spiffe: socket %q: the path must be absolute: write unix:///%s with three slashes", s, u.Host+u.Path)
		}
		if !strings.HasPrefix(u.Path, "/") {
			return "", fmt.Errorf("spiffe: socket %q names no absolute path; %s", s, want)
		}
		if err := workloadapi.ValidateAddress(s); err != nil {
			return "", fmt.Errorf("spiffe: socket %q: %w; %s", s, err, want)
		}
		return unixAddress(s, u.Path)
	case "tcp":
		if net.ParseIP(u.Hostname()) == nil {
			return "", fmt.Errorf("spiffe: socket %q: the host must be an IP address, such as tcp://127.0.0.1:8081", s)
		}
		target, err := workloadapi.TargetFromAddress(s)
		if err != nil {
			return "", fmt.Errorf("spiffe: socket %q: %w; %s", s, err, want)
		}
		return "tcp://" + target, nil
	default:
		return "", fmt.Errorf("spiffe: socket %q cannot be used; %s", s, want)
	}
}

func unixAddress(s, path string) (string, error) {
	if strings.HasSuffix(path, "/") {
		return "", fmt.Errorf("spiffe: socket %q is a directory's path; name the socket in it", s)
	}
	if strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("spiffe: socket %q holds a NUL byte", s)
	}
	path = filepath.Clean(path)
	if len(path) > longestPath {
		return "", fmt.Errorf("spiffe: socket %q: the path has %d bytes, and the kernel takes %d; use a shorter one, such as a symbolic link", s, len(path), longestPath)
	}
	return (&url.URL{Scheme: "unix", Path: path}).String(), nil
}
