// Package sample is what the sample servers have in common: an MCP server with
// a few tools, made with the official SDK, and a listener that speaks strict
// mutual TLS. Each call of [Main] is one process's main; a server made by
// [NewServer] may be used by any number of sessions at once.
package sample
