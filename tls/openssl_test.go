package tls

import (
	cryptotls "crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// openssl runs shell scripts in a directory of the test, and reads its files.
func openssl(t *testing.T) (sh func(script string), read func(name string) []byte) {
	return opensslIn(t, t.TempDir())
}

func opensslIn(t *testing.T, dir string) (sh func(script string), read func(name string) []byte) {
	sh = func(script string) {
		t.Helper()
		cmd := exec.Command("sh", "-euc", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	read = func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	return sh, read
}

// Keys in every form that OpenSSL writes, read as files of users are.
func TestKeysOfEveryFormThatOpenSSLWrites(t *testing.T) {
	t.Parallel()
	sh, read := openssl(t)
	pass := []byte("correct horse")
	sh(`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
		openssl genpkey -algorithm ED25519 -out ed25519.key
		for k in rsa ec ed25519; do openssl req -x509 -new -key $k.key -out $k.crt -days 1 -subj /CN=$k; done`)
	for _, c := range []struct{ key, form, command string }{
		{"rsa", "PKCS8", "openssl pkey -in rsa.key"},
		{"rsa", "PKCS1", "openssl rsa -in rsa.key -traditional"},
		{"ec", "PKCS8", "openssl pkey -in ec.key"},
		{"ec", "SEC1", "openssl ec -in ec.key"},
		{"ec", "SEC1 behind its parameters", "openssl ecparam -name prime256v1; openssl ec -in ec.key"},
		{"ed25519", "PKCS8", "openssl pkey -in ed25519.key"},
		{"rsa", "encrypted PKCS8", "openssl pkcs8 -topk8 -in rsa.key -passout 'pass:correct horse'"},
		{"rsa", "encrypted PKCS8, AES-128 and SHA-1", "openssl pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -in rsa.key -passout 'pass:correct horse'"},
		{"rsa", "encrypted PKCS8, triple DES and SHA-384", "openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA384 -in rsa.key -passout 'pass:correct horse'"},
		{"ec", "encrypted PKCS8, AES-192 and SHA-512", "openssl pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA512 -iter 100000 -in ec.key -passout 'pass:correct horse'"},
		{"ec", "encrypted PKCS8, SHA-224", "openssl pkcs8 -topk8 -v2prf hmacWithSHA224 -in ec.key -passout 'pass:correct horse'"},
		{"ec", "encrypted PKCS8, scrypt", "openssl pkcs8 -topk8 -scrypt -in ec.key -passout 'pass:correct horse'"},
		{"ed25519", "encrypted PKCS8", "openssl pkcs8 -topk8 -in ed25519.key -passout 'pass:correct horse'"},
		{"rsa", "encrypted, old form", "openssl rsa -in rsa.key -traditional -aes256 -passout 'pass:correct horse'"},
		{"ec", "encrypted, old form", "openssl ec -in ec.key -aes128 -passout 'pass:correct horse'"},
	} {
		t.Run(c.key+"/"+c.form, func(t *testing.T) {
			sh("{ " + c.command + "; } > made.key 2>/dev/null")
			cert, key := read(c.key+".crt"), read("made.key")
			if _, err := parseIdentity(cert, key, pass); err != nil {
				t.Error(err)
			}
			if !strings.Contains(c.form, "encrypted") {
				return
			}
			if _, err := parseIdentity(cert, key, nil); err == nil || !strings.Contains(err.Error(), "passphrase") {
				t.Errorf("without a passphrase: %v", err)
			}
			if _, err := parseIdentity(cert, key, []byte("wrong")); err == nil || !strings.Contains(err.Error(), "cannot be decrypted") || !isTorn(err) {
				t.Errorf("with a wrong one: %v", err)
			}
		})
	}
}

// A key that will never be read is no wrong passphrase, and is not tried again.
func TestAnEncryptionThatIsNotReadIsToldFromAWrongPassphrase(t *testing.T) {
	t.Parallel()
	sh, read := openssl(t)
	sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ec.key -out ec.crt -days 1 -subj /CN=ec")
	for _, form := range []string{
		"openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES",
		"openssl pkcs8 -topk8 -v2 camellia-256-cbc",
		"openssl pkcs8 -topk8 -v2 aria-256-cbc",
		"openssl ec -camellia256",
	} {
		sh(form + " -in ec.key -out made.key -passout pass:secret")
		_, err := parseIdentity(read("ec.crt"), read("made.key"), []byte("secret"))
		const way = "openssl pkcs8 -topk8 -v2 aes-256-cbc"
		if err == nil || isTorn(err) || !strings.Contains(err.Error(), "not supported") || !strings.Contains(err.Error(), way) {
			t.Errorf("%s: got %v", form, err)
		}
		sh(way + " -in made.key -passin pass:secret -out converted.key -passout pass:secret")
		if _, err := parseIdentity(read("ec.crt"), read("converted.key"), []byte("secret")); err != nil {
			t.Errorf("%s: the way out does not lead out: %v", form, err)
		}
	}
}

func TestAKeyIsRefusedIfAndOnlyIfCryptoTLSCannotUseIt(t *testing.T) {
	t.Parallel()
	sh, read := openssl(t)
	sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 1 -subj /CN=CA")
	for key, want := range map[string]string{
		"RSA -pkeyopt rsa_keygen_bits:1000":       "RSA of 1000 bits is too short",
		"RSA -pkeyopt rsa_keygen_bits:1023":       "RSA of 1023 bits is too short",
		"RSA -pkeyopt rsa_keygen_bits:1024":       "",
		"EC -pkeyopt ec_paramgen_curve:secp224r1": "the curve P-224",
		"EC -pkeyopt ec_paramgen_curve:P-256":     "",
		"EC -pkeyopt ec_paramgen_curve:P-384":     "",
		"EC -pkeyopt ec_paramgen_curve:P-521":     "",
		"ED25519":                                 "",
	} {
		sh("openssl genpkey -algorithm " + key + ` -out made.key
			openssl pkey -in made.key -pubout -out made.pub
			openssl x509 -new -force_pubkey made.pub -CA ca.crt -CAkey ca.key -subj /CN=made -days 1 -out made.crt`)
		_, err := parseIdentity(read("made.crt"), read("made.key"), nil)
		if want == "" && err != nil || want != "" && (err == nil || isTorn(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", key, err, want)
		}
		cert, err := cryptotls.X509KeyPair(read("made.crt"), read("made.key"))
		if err != nil {
			t.Fatal(err)
		}
		server := &cryptotls.Config{Certificates: []cryptotls.Certificate{cert}}
		out := connect(t, server, &cryptotls.Config{InsecureSkipVerify: true})
		if used := out.serverErr == nil; used != (want == "") {
			t.Errorf("%s: crypto/tls says %v", key, out.serverErr)
		}
	}
}

func TestAListOfVersion1IsRefusedWithTheWayOut(t *testing.T) {
	t.Parallel()
	// The list as it was before it had a version and extensions.
	var list, body, rest cryptobyte.String
	outer := cryptobyte.String(derOf(tlstest.NewCA(t, "CA").CRL(t, time.Now())))
	if !outer.ReadASN1(&list, tags.SEQUENCE) || !list.ReadASN1(&body, tags.SEQUENCE) || !body.SkipASN1(tags.INTEGER) {
		t.Fatal("no list of version 2")
	}
	rest = list
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			for !body.PeekASN1Tag(tags.Tag(0).ContextSpecific().Constructed()) {
				var element cryptobyte.String
				body.ReadAnyASN1Element(&element, new(tags.Tag))
				b.AddBytes(element)
			}
		})
		b.AddBytes(rest)
	})
	_, err := parseCRLs(b.BytesOrPanic())
	if err == nil || isTorn(err) || !strings.Contains(err.Error(), "version 1") {
		t.Fatalf("got %v", err)
	}

	sh, read := openssl(t)
	sh(`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 1 -subj /CN=CA
		touch index; echo 01 >number
		printf '[ca]\ndefault_ca=a\n[x]\nauthorityKeyIdentifier=keyid\n[a]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=1\n' >plain.cnf
		{ cat plain.cnf; echo crlnumber=number; } >crlnumber.cnf
		{ cat plain.cnf; echo crl_extensions=x; } >crl_extensions.cnf
		crl() { openssl ca -gencrl -cert ca.crt -keyfile ca.key "$@"; }
		crl -config plain.cnf -crlexts x -out -crlexts
		crl -config crlnumber.cnf -out crlnumber
		crl -config crl_extensions.cnf -out crl_extensions`)
	for _, way := range []string{"-crlexts", "crlnumber", "crl_extensions"} {
		if !strings.Contains(err.Error(), way) {
			t.Errorf("%s is not a way out: %v", way, err)
		}
		if _, err := parseCRLs(read(way)); err != nil {
			t.Errorf("with %s: %v", way, err)
		}
	}
}
