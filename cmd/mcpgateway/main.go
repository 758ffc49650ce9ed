// Command mcpgateway is the gateway and the tools around its file.
//
// The packages of internal/e2e test it as a process; internal/e2e/house checks
// the rules that hold for the source of the whole module.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

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
	// The reader of the log may go away; the gateway stays. Caught, not ignored:
	// what is ignored stays so in the commands of clusters.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// The gateway says itself, once and in its log, that a buffer is small.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
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
	understood := false
	root := &cobra.Command{
		Use:     "mcpgateway",
		Version: version,
		Short:   "An L7 proxy for MCP servers",
		Long: "An L7 proxy for MCP servers: it comes to each with the client certificate that the\n" +
			"server demands, federates them, and reloads without costing a connection.\n\n" +
			"Exit codes: 0 done, 1 failed (a reload that the gateway rejects, too), 2 the file or\n" +
			"the command line is wrong.",
		Example:       "  mcpgateway validate -c config.yaml\n  mcpgateway run -c config.yaml",
		SilenceUsage:  true,
		SilenceErrors: true,
		// Called once the arguments and flags are known to be right.
		PersistentPreRun:  func(*cobra.Command, []string) { understood = true },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(runCommand(), validateCommand(), schemaCommand(), statusCommand(), reloadCommand(), stdioCommand(), versionCommand())
	root.SetHelpCommand(helpCommand())
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if out := (*fs.PathError)(nil); errors.As(err, &out) && out.Path == os.Stdout.Name() && errors.Is(out, syscall.EPIPE) {
		return exitFailed // who reads the output, as head does, has read enough
	}
	text := strings.TrimSpace(err.Error()) + "\n"
	if !understood {
		text += fmt.Sprintf("%q tells more\n", c.CommandPath()+" --help")
	}
	tell(stderr, text)
	if !understood {
		return exitInvalid
	}
	if e := (*exitError)(nil); errors.As(err, &e) {
		return e.code
	}
	return exitFailed
}

// tell writes the last words of the process. A reader of stderr that has stopped
// reading does not keep the process from ending.
func tell(stderr io.Writer, text string) {
	written := make(chan struct{})
	go func() { defer close(written); _, _ = io.WriteString(stderr, text) }()
	select {
	case <-written:
	case <-time.After(2 * time.Second):
	}
}

// helpCommand is cobra's own, but for its answer to a command that is none.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about a command",
		Args: func(c *cobra.Command, args []string) error {
			_, _, err := c.Root().Find(args)
			return err
		},
		RunE: func(c *cobra.Command, args []string) error {
			about, _, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// onlyFlags refuses arguments. What people mean by one is the file.
func onlyFlags(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.Flags().Lookup("config") == nil {
		return fmt.Errorf("%s takes no argument, but got %q", c.CommandPath(), args[0])
	}
	return fmt.Errorf("%s takes no argument, but got %q; the file is named by -c", c.CommandPath(), args[0])
}

// configFlag adds -c to a command. The flag beats $MCPGATEWAY_CONFIG, which
// beats config.yaml.
func configFlag(c *cobra.Command) *string {
	def := cmp.Or(os.Getenv("MCPGATEWAY_CONFIG"), "config.yaml")
	return c.Flags().StringP("config", "c", def, "the configuration `file`; also $MCPGATEWAY_CONFIG")
}
