// Package logging is where the process logs to: stderr or a file, in JSON lines
// or in text, and both may change while others write.
//
// A line is put into a bounded buffer, and one goroutine for each destination
// writes it from there. A reader of stderr that has stopped reading, a full
// disk or a slow file therefore holds no caller; it costs lines, which are
// counted, and told of in the log once writing works again.
package logging
