// Command go-sdk is a server and a client of the official Go SDK:
//
//	go-sdk server http|sse|stdio [ADDRESS]
//	go-sdk client http|sse|stdio URL|COMMAND…
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
		err = serve(context.Background(), args[0], args[1:])
	case "client":
		err = ask(context.Background(), args[0], args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
