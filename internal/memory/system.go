package memory

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// System is how much memory this process may use, as the system says: the least
// limit of its cgroup and those above it, else what the machine has; 0 where that
// cannot be told. from says which of them it is. root is the file system, from /
// down.
func System(root fs.FS) (bytes int64, from string) {
	if limit := cgroupLimit(root); limit > 0 {
		return limit, "cgroup"
	}
	return machine(root), "machine"
}

// unlimited is what version 1 of cgroups says for no limit, or less: it rounds
// down to pages.
const unlimited = 1 << 60

// cgroupLimit returns the least limit, or 0 where there is none.
func cgroupLimit(root fs.FS) (least int64) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(own)) {
		// hierarchy:controllers:path; version 2 has hierarchy 0 and no names
		// (cgroups(7)).
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mounts, file := []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, "memory.max"
		if parts[0] != "0" {
			if !slices.Contains(strings.Split(parts[1], ","), "memory") {
				continue
			}
			mounts, file = []string{"sys/fs/cgroup/memory"}, "memory.limit_in_bytes"
		}
		for _, mount := range mounts {
			for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
				if limit := readLimit(root, path.Join(mount, dir, file)); limit > 0 && (least == 0 || limit < least) {
					least = limit
				}
				if dir == "/" {
					break
				}
			}
		}
	}
	return least
}

// readLimit returns 0 for a file that is not there, or says that there is none. A
// container sees the path that its host knows it by, but only its own part of
// the tree.
func readLimit(root fs.FS, name string) int64 {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	if err != nil || limit >= unlimited {
		return 0
	}
	return limit
}

func machine(root fs.FS) int64 {
	f, err := root.Open("proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
