package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mcpgateway/mcpgateway/proxy"
)

func validateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "validate",
		Short: "Load and check everything that run would; exit 2 and all errors when it is not right",
		Args:  onlyFlags,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		snapshot, err := proxy.Check(c.Context(), *path, nil)
		if snapshot != nil {
			for _, w := range snapshot.Warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", w.Error())
			}
		}
		if err != nil {
			return &exitError{exitInvalid, err}
		}
		fmt.Fprintf(c.OutOrStdout(), "%s is valid\n", *path)
		return nil
	}
	return c
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the file, for editors",
		Args:  onlyFlags,
		RunE: func(c *cobra.Command, _ []string) error {
			schema, err := proxy.Schema()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(schema)
			return err
		},
	}
}
