package proxy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// withACME is a gateway whose authority cannot be reached.
const withACME = unwatched + "acme: {directory: \"https://127.0.0.1:1/dir\", storage: store}\n" +
	"listeners: [{name: public, address: \"127.0.0.1:0\"}]\n"

func TestAReloadDoesNotDependOnTheStorageOfCertificates(t *testing.T) {
	p := run(t, "", withACME+"routes: [{match: {path: /}, respond: {body: old}}]")
	url := "http://" + p.address("public")
	expectBody(t, url, "old")
	// What was usable is not any more; the reload is for something else.
	store := filepath.Join(p.dir, "store")
	if err := errors.Join(os.RemoveAll(store), os.WriteFile(store, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	p.mustApply(withACME + "routes: [{match: {path: /}, respond: {body: new}}]")
	expectBody(t, url, "new")

	o := p.apply(strings.Replace(withACME, "storage: store", "storage: store/other", 1))
	if want := "acme.storage " + filepath.Join(store, "other") + ": " + store + " is a file"; o.Result != admin.Rejected || !strings.Contains(strings.Join(o.Errors, "\n"), want) {
		t.Errorf("%s: %q, want %q", o.Result, o.Errors, want)
	}
}

func TestAPreparationThatFailsLeavesNoStorage(t *testing.T) {
	const plain = unwatched + "listeners: [{name: public, address: \"127.0.0.1:0\"}]\n"
	p := run(t, "", plain)
	if o := p.apply(withACME + "log: {file: .}\n"); o.Result != admin.Rejected {
		t.Fatalf("%s", o.Result)
	}
	if o := p.apply(withACME + "admin: {address: \"" + p.address("public") + "\"}\n"); o.Result != admin.Rejected {
		t.Fatalf("%s", o.Result)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "store")); !os.IsNotExist(err) {
		t.Errorf("the storage is left: %v", err)
	}
}
