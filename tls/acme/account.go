package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/tls/acme/lock"
)

const (
	// concurrentOrders of one account: many names at once would be taken for an
	// attack.
	concurrentOrders = 4
	httpTimeout      = 30 * time.Second
	pollTimeout      = 2 * time.Minute
)

// account is one account definition with what belongs to it: what is stored of it, its
// HTTP client, and what certmagic needs. It lives until another definition takes its
// place. What the authority knows it by is its registration.
type account struct {
	definition [32]byte
	directory  string
	email      string
	keyID      string
	macKey     string

	*store
	cache   *certmagic.Cache // always empty; see the package's comment
	http    *http.Client
	zap     *zap.Logger
	tell    func(Event)
	pending *pending
	slots   chan struct{}

	// ctx ends with the account, renewers are its goroutines.
	ctx      context.Context
	cancel   context.CancelFunc
	renewers sync.WaitGroup // each ends soon after ctx, whatever the storage does

	introduced bool  // or about to be; guarded by Manager.committing
	err        error // why it cannot be used, nil: it can; guarded by Manager.mu

	mu         sync.Mutex
	challenges []string
}

// newAccount reaches for nothing but memory.
func newAccount(cfg *Config, logger *zap.Logger, p *pending, tell func(Event)) *account {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSHandshakeTimeout:   httpTimeout,
		ResponseHeaderTimeout: httpTimeout,
		IdleConnTimeout:       time.Minute,
		ForceAttemptHTTP2:     true,
	}
	if !cfg.CACert.IsZero() {
		// Validate found it sound; if it is not, the system's trust remains.
		if pool, err := roots(cfg.CACert); err == nil {
			transport.TLSClientConfig = &cryptotls.Config{RootCAs: pool, MinVersion: cryptotls.VersionTLS12}
		}
	}
	macKey, _ := cfg.ExternalAccount.macKey()
	a := &account{
		definition: cfg.definition(),
		directory:  cfg.Directory,
		email:      cfg.Email,
		keyID:      cfg.ExternalAccount.KeyID,
		macKey:     macKey,
		http:       &http.Client{Transport: &retryAfterTransport{transport}, Timeout: httpTimeout},
		zap:        logger,
		tell:       tell,
		pending:    p,
		slots:      make(chan struct{}, concurrentOrders),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	ending, leave := context.WithCancel(context.Background())
	context.AfterFunc(a.ctx, func() { time.AfterFunc(endTimeout, leave) })
	d := disk.New(ending, disk.Timeout)
	a.store = &store{
		storage:   &storage{&certmagic.FileStorage{Path: cfg.storagePath()}, d},
		locks:     lock.New(d, cfg.storagePath(), func(err error) { tell(Event{Kind: EventLock, Err: err}) }),
		issuerKey: (&certmagic.ACMEIssuer{CA: cfg.Directory}).IssuerKey(),
		holder:    cfg.holder(),
	}
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		// Nothing is in it to be asked about.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return nil, fs.ErrNotExist },
		Logger:           logger,
	})
	return a
}

// end waits for the goroutines of a cancelled account.
func (a *account) end() {
	a.renewers.Wait()
	a.cache.Stop()
	a.http.CloseIdleConnections()
}

func (a *account) setChallenges(list []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.challenges = list
}

// client is an ACME client with the solvers that are allowed now.
func (a *account) client() *acmez.Client {
	c := &acmez.Client{
		Client: &acme.Client{
			Directory:   a.directory,
			HTTPClient:  a.http,
			UserAgent:   "mcpgateway",
			PollTimeout: pollTimeout,
			Logger: slog.New(zapslog.NewHandler(a.zap.Core(),
				zapslog.WithName("acme_client"), zapslog.AddStacktraceAt(slog.Level(127)))),
		},
		ChallengeSolvers: map[string]acmez.Solver{},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, challenge := range a.challenges {
		c.ChallengeSolvers[challenge] = &solver{account: a}
	}
	return c
}

// registration is the stored one, or a new one: of several gateways, one
// registers.
func (a *account) registration(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	if registered, err := a.loadRegistration(ctx); err == nil {
		return registered, nil
	}
	unlock, err := a.lockRegistration(ctx)
	if err != nil {
		return acme.Account{}, err
	}
	defer unlock()
	registered, err := a.loadRegistration(ctx)
	if err == nil {
		return registered, nil
	}
	if damaged, ok := errors.AsType[*damagedError](err); ok {
		if err := a.putAside(damaged); err != nil {
			return acme.Account{}, err
		}
	} else if !missing(err) {
		return acme.Account{}, err
	}
	return a.register(ctx, client)
}

// damagedError is about a file that was read and makes no sense, as after a power
// cut. No retry mends it.
type damagedError struct {
	key   string
	cause error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("stored ACME account %s: %v", e.key, e.cause)
}

func (e *damagedError) Unwrap() error { return e.cause }

// putAside makes way for another account, and keeps the damaged file for an
// operator who may want to mend it.
func (a *account) putAside(damaged *damagedError) error {
	file := a.storage.Filename(damaged.key)
	err := a.storage.do(context.Background(), "rename", damaged.key, func() error { return os.Rename(file, file+".bad") })
	if err != nil && !missing(err) {
		return fmt.Errorf("put the damaged ACME account aside: %w", err)
	}
	a.tell(Event{Kind: EventDamaged, Err: fmt.Errorf("%w; it is kept as %s.bad, and another one is registered", damaged, file)})
	return nil
}

func (a *account) register(ctx context.Context, client *acmez.Client) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	registered := acme.Account{PrivateKey: key, TermsOfServiceAgreed: true}
	if a.email != "" {
		registered.Contact = []string{"mailto:" + a.email}
	}
	if a.keyID != "" {
		if err := registered.SetExternalAccountBinding(ctx, client.Client, acme.EAB{KeyID: a.keyID, MACKey: a.macKey}); err != nil {
			return registered, fmt.Errorf("bind to the external account %s: %w", a.keyID, err)
		}
	}
	if registered, err = client.NewAccount(ctx, registered); err != nil {
		return registered, fmt.Errorf("register an ACME account with %s: %w", a.directory, err)
	}
	registered.PrivateKey = key
	keyPEM, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return registered, err
	}
	data, err := json.Marshal(registered)
	if err != nil {
		return registered, err
	}
	// The key first: an account without one is worth nothing.
	if err := a.storage.Store(ctx, a.registrationKey("account.key"), keyPEM); err != nil {
		return registered, fmt.Errorf("store the ACME account: %w", err)
	}
	if err := a.storage.Store(ctx, a.registrationKey("account.json"), data); err != nil {
		return registered, fmt.Errorf("store the ACME account: %w", err)
	}
	return registered, nil
}

// forget drops a registration that the authority does not know any more, unless
// a process has registered anew meanwhile: a key of an external account may be good
// for one registration only.
func (a *account) forget(ctx context.Context, lost acme.Account) error {
	unlock, err := a.lockRegistration(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if stored, err := a.loadRegistration(ctx); err == nil && sameKey(stored, lost) {
		return a.storage.Delete(ctx, a.registrationKey("account.json"))
	}
	return nil
}

// sameKey tells registrations apart. Their addresses do not: an authority that was set
// up anew counts from one again.
func sameKey(a, b acme.Account) bool {
	key, ok := a.PrivateKey.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && b.PrivateKey != nil && key.Equal(b.PrivateKey.Public())
}
