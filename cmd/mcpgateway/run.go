package main

import (
	"context"
	"errors"
	"log" //nolint:depguard // only to lead what the standard library logs into our log
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/mcpgateway/mcpgateway/proxy"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// killGrace is how long an orderly end may take after a second signal: child
// processes are ended in it.
const killGrace = time.Second

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Serve the configuration",
		Long: "Serve until SIGTERM or SIGINT; a second one stops at once.\n" +
			"SIGHUP reloads the file, SIGUSR1 reopens the log file.\n\n" +
			"Exits with 2 when the file, or one that it names, is wrong or cannot be read at the\n" +
			"start, and with 1 when something else keeps it from serving, such as a taken address.",
		Args: onlyFlags,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		// Before anything else: a signal that comes while the first
		// generation is prepared waits, it does not kill.
		hup, reopen, stop := notified(syscall.SIGHUP), notified(syscall.SIGUSR1), notified(syscall.SIGTERM, syscall.SIGINT)
		ctx, cancel := context.WithCancel(c.Context())
		kill, ended := make(chan os.Signal, 1), make(chan struct{})
		var signals sync.WaitGroup
		signals.Go(func() {
			select {
			case <-stop:
				cancel()
			case <-ended:
				return
			}
			select {
			case s := <-stop:
				kill <- s
			case <-ended:
				return
			}
			// What is under way may wait for a file system that does not
			// answer, and nothing can interrupt that.
			hurry := time.NewTimer(killGrace)
			defer hurry.Stop()
			select {
			case <-hurry.C:
				os.Exit(exitFailed)
			case <-ended:
			}
		})
		defer func() { close(ended); signals.Wait(); cancel() }()
		gateway := proxy.New(proxy.Options{
			Path:    *path,
			Version: version,
			Stderr:  c.ErrOrStderr(),
			Notify:  func(state string) { _, _ = daemon.SdNotify(false, state) },
			Abort:   func() { os.Exit(exitFailed) },

			SetMemoryLimit: debug.SetMemoryLimit,
		})
		log.SetFlags(0)
		log.SetOutput(gateway.StandardLog())
		err := gateway.Run(ctx, hup, reopen, kill)
		if errors.As(err, new(config.Errors)) {
			return &exitError{exitInvalid, err}
		}
		return err
	}
	return c
}

// notified returns a channel that holds one signal: those that come while one
// waits are the same wish.
func notified(signals ...os.Signal) chan os.Signal {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, signals...)
	return ch
}
