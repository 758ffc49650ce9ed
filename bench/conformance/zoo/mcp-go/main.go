// Command mcp-go is a server and a client of github.com/mark3labs/mcp-go:
//
//	mcp-go server http|sse|stdio [ADDRESS]
//	mcp-go client http|sse|stdio URL|COMMAND…
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "server":
		err = serve(args[0], args[1:])
	case "client":
		err = ask(context.Background(), args[0], args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
