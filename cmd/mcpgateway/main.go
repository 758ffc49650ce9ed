// Command mcpgateway is the gateway and the tools around its file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Set by the linker; see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

// Exit codes of the command.
const (
	exitOK      = 0
	exitFailed  = 1 // the command could not do what was asked
	exitInvalid = 2 // the file, or the command line, is at fault
)

func main() {
	// Users find the process to signal by name, and the name is that of every
	// sub-command: only run gives SIGHUP a meaning.
	signal.Ignore(syscall.SIGHUP)
	// Whoever reads the log may go away; the gateway stays. Caught, not ignored:
	// what is ignored stays so in the commands of clusters.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// exitError carries an exit code other than exitFailed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "mcpgateway",
		Short:         "A gateway for MCP servers behind strict mTLS",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{exitInvalid, err} })
	root.AddCommand(runCommand(), validateCommand(), schemaCommand(), statusCommand(), reloadCommand(), versionCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, err)
	if e := (*exitError)(nil); errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}

// configFlag adds -c to a command. The flag beats $MCPGATEWAY_CONFIG, which
// beats config.yaml.
func configFlag(c *cobra.Command) *string {
	def := os.Getenv("MCPGATEWAY_CONFIG")
	if def == "" {
		def = "config.yaml"
	}
	return c.Flags().StringP("config", "c", def, "the configuration `file`; also $MCPGATEWAY_CONFIG")
}
