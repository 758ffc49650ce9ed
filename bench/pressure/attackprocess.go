package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// attackProcess is a process of this program that attacks, and has the server that takes
// part in it. It has a low priority, so that its own work does not slow the
// honest client.
type attackProcess struct {
	upstream string
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
}

// result is the outcome of an attack's requests.
type result struct{ Taken, Refused int64 }

// startAttacker starts one, whose server serves already.
func startAttacker(ctx context.Context, attack string) (*attackProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &attackProcess{cmd: exec.CommandContext(ctx, self, "-attack", attack)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	const priority = 10
	if err := unix.Setpriority(unix.PRIO_PROCESS, e.cmd.Process.Pid, priority); err != nil {
		return nil, errors.Join(err, e.cmd.Process.Kill())
	}
	line, err := e.out.ReadString('\n')
	e.upstream = strings.TrimSpace(line)
	return e, err
}

// attack has it attack the gateway.
func (e *attackProcess) attack(address, cert string) error {
	_, err := fmt.Fprintf(e.in, "%s %s\n", address, cert)
	return err
}

// end ends the attack.
func (e *attackProcess) end() (r result, err error) {
	_ = e.in.Close()
	err = json.NewDecoder(e.out).Decode(&r)
	return r, err
}

func (e *attackProcess) stop() {
	_ = e.in.Close()
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait() // it was killed
}

// attacker runs in such a process: it prints the address of its server, reads the
// address to attack, and attacks until its standard input ends.
func attacker(ctx context.Context, name string) error {
	i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
	if i < 0 {
		return fmt.Errorf("there is no attack %q", name)
	}
	upstream, stop, err := serve()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(upstream)
	var cert string
	g := &gateway{trust: x509.NewCertPool()}
	in := bufio.NewReader(os.Stdin)
	if _, err := fmt.Fscanln(in, &g.address, &cert); err != nil {
		return err
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		return err
	}
	g.trust.AppendCertsFromPEM(pem)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	var t counts
	attacks[i].run(ctx, g, &t)
	return json.NewEncoder(os.Stdout).Encode(result{t.taken.Load(), t.refused.Load()})
}
