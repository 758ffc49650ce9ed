package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	c := asksGateway(&cobra.Command{
		Use:   "status",
		Short: "Show the running gateway: generation, listeners, clusters and their health, certificates, drains",
		Args:  onlyFlags,
	}, func(c *cobra.Command, api *admin.Client) error {
		s, err := api.Status(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(s)
		}
		return printStatus(c.OutOrStdout(), s)
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print the status as JSON")
	return c
}

func printStatus(out io.Writer, s admin.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "generation %d\tapplied %s\t%s\n", s.Generation.Number, s.Generation.Applied.Format(time.RFC3339), s.Config)
	fmt.Fprintf(w, "version %s\tpid %d\tup %s\n", s.Version, s.PID, time.Since(s.Started).Round(time.Second))
	if r := s.LastReload; r != nil {
		fmt.Fprintf(w, "last reload\t%s\tby %s at %s\n", r.Result, r.Trigger, r.Time.Format(time.RFC3339))
		for _, e := range r.Errors {
			fmt.Fprintf(w, "  error: %s\n", e)
		}
	}
	if m := s.Memory; m.Limit > 0 {
		fmt.Fprintf(w, "memory\t%s\t%.0f%% of %d MiB\n", m.Level, 100*m.Ratio, m.Limit>>20)
	}
	if s.Sessions+s.Streams > 0 {
		fmt.Fprintf(w, "mcp\t%d sessions\t%d streams\n", s.Sessions, s.Streams)
	}
	fmt.Fprintf(w, "\nLISTENER\tADDRESS\tTLS\tCONNECTIONS\tSTREAMS\n")
	for _, l := range s.Listeners {
		fmt.Fprintf(w, "%s\t%s\t%t\t%d\t%d\n", l.Name, l.Address, l.TLS, l.Connections, l.Streams)
	}
	fmt.Fprintf(w, "\nCLUSTER\tENDPOINT\tADDRESS\tHEALTH\tACTIVE\tPROTOCOL\tERROR\n")
	for _, cl := range s.Clusters {
		for _, e := range cl.Endpoints {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", cl.Name, endpointName(e), cmp.Or(e.Address, "-"), e.Health, e.Active, cmp.Or(revision(e), "-"), onALine(e.Error))
		}
	}
	printProtocols(w, s)
	printLeftOut(w, s)
	if len(s.Certs) > 0 {
		fmt.Fprintf(w, "\nCERTIFICATE\tSUBJECT\tSERIAL\tDAYS LEFT\tERROR\n")
	}
	for _, cert := range s.Certs {
		days := "-"
		if !cert.NotAfter.IsZero() {
			days = strconv.Itoa(cert.DaysLeft)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", cert.Use, cert.Subject, cmp.Or(cert.Serial, "-"), days, cert.Error)
	}
	if len(s.Draining) > 0 {
		fmt.Fprintf(w, "\nDRAINING\tSINCE\tCONNECTIONS\tSTREAMS\tREQUESTS\n")
		for _, d := range s.Draining {
			fmt.Fprintf(w, "generation %d\t%s\t%d\t%d\t%d\n", d.Generation, d.Since.Format(time.RFC3339), d.Connections, d.Streams, d.Requests)
		}
	}
	return w.Flush()
}

// printLeftOut prints the definitions that no client gets. Their names are those
// of servers, which may hold anything.
func printLeftOut(w io.Writer, s admin.Status) {
	head := "\nCLUSTER\tLEFT OUT\tNAME\tREASON\n"
	for _, cl := range s.Clusters {
		for _, d := range cl.LeftOut {
			fmt.Fprintf(w, "%s%s\t%s\t%q\t%q\n", head, cl.Name, d.Kind, d.Name, d.Reason)
			head = ""
		}
	}
}

// revision is what Protocol begins with.
func revision(e admin.Endpoint) string {
	word, _, _ := strings.Cut(onALine(e.Protocol), " ")
	return strings.TrimSuffix(word, ",")
}

// printProtocols prints how the revisions were found out. The next session may speak
// another one, where the server takes what its client asks for.
func printProtocols(w io.Writer, s admin.Status) {
	head := "\nCLUSTER\tENDPOINT\tPROTOCOL OF ITS LAST SESSION\n"
	for _, cl := range s.Clusters {
		for _, e := range cl.Endpoints {
			if text := onALine(e.Protocol); text != revision(e) {
				fmt.Fprintf(w, "%s%s\t%s\t%s\n", head, cl.Name, endpointName(e), text)
				head = ""
			}
		}
	}
}

// onALine keeps what servers say from moving the columns, or the cursor of a
// terminal.
func onALine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// endpointName is the URL, or for a command how many processes it has.
func endpointName(e admin.Endpoint) string {
	switch {
	case e.URL != "":
		return e.URL
	case e.Waiting > 0:
		return fmt.Sprintf("command (%d of %d processes, %d waiting)", e.Processes, e.MaxProcesses, e.Waiting)
	}
	return fmt.Sprintf("command (%d of %d processes)", e.Processes, e.MaxProcesses)
}
