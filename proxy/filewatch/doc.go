// Package filewatch tells when files may have changed on disk. It knows paths, and
// nothing of what is in the files.
package filewatch
