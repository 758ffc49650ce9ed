package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// asksGateway makes c a command that asks the running gateway, which --admin and -c
// say how to reach.
func asksGateway(c *cobra.Command, run func(c *cobra.Command, api *admin.Client) error) *cobra.Command {
	address := c.Flags().String("admin", "", "the admin `address` of the running gateway: host:port or unix:/path (default: from the file)")
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *address != "" {
			return run(c, admin.NewClient(*address))
		}
		in, err := admin.AddressIn(*path, os.LookupEnv)
		if err != nil {
			return &exitError{exitInvalid, fmt.Errorf("reading the admin address: %w; try: %s --admin ADDRESS", err, c.CommandPath())}
		}
		if in == "" {
			return &exitError{exitInvalid, fmt.Errorf("%s has no admin section, so the gateway cannot be asked; try: %s --admin ADDRESS", *path, c.CommandPath())}
		}
		return run(c, admin.NewClient(in))
	}
	return c
}

func reloadCommand() *cobra.Command {
	return asksGateway(&cobra.Command{
		Use:   "reload",
		Short: "Ask the running gateway to reload; wait, and print what was applied or the errors",
		Long: "Ask the running gateway to reload; wait, and print what was applied or the errors.\n\n" +
			"Exits with 1 when the gateway rejects its file or cannot be asked, and with 2 when the\n" +
			"file of -c does not say where to ask.",
		Args: onlyFlags,
	}, func(c *cobra.Command, api *admin.Client) error {
		o, err := api.Reload(c.Context())
		if err != nil {
			return err
		}
		for _, w := range o.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
		}
		if o.Result == admin.Rejected {
			for _, e := range o.Errors {
				fmt.Fprintln(c.ErrOrStderr(), e)
			}
			return errors.New("rejected; the running generation serves on")
		}
		fmt.Fprintf(c.OutOrStdout(), "generation %d: %s", o.Generation, o.Result)
		if o.Summary != "" {
			fmt.Fprintf(c.OutOrStdout(), ": %s", o.Summary)
		}
		fmt.Fprintln(c.OutOrStdout())
		for _, line := range o.Plan {
			fmt.Fprintf(c.OutOrStdout(), "  %s\n", line)
		}
		return nil
	})
}
