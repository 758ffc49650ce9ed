package sample

import (
	cryptotls "crypto/tls"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Connection is one line of a record: a TLS connection that was accepted.
type Connection struct {
	Time   time.Time `json:"time"`
	CN     string    `json:"cn"`     // of the client certificate
	Serial string    `json:"serial"` // of the client certificate, in hexadecimal
	Remote string    `json:"remote"`
}

type recorder struct {
	mu sync.Mutex
	to io.Writer
}

// watch makes config report each connection. VerifyConnection also runs on resumed
// handshakes. It is given the peer's certificate but not its address, so each
// connection gets a configuration of its own.
func (r *recorder) watch(config *cryptotls.Config) {
	config.GetConfigForClient = func(hello *cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
		own := config.Clone()
		own.GetConfigForClient = nil
		own.VerifyConnection = func(state cryptotls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			return r.write(Connection{
				Time:   time.Now().UTC(),
				CN:     leaf.Subject.CommonName,
				Serial: leaf.SerialNumber.Text(16),
				Remote: hello.Conn.RemoteAddr().String(),
			})
		}
		return own, nil
	}
}

func (r *recorder) write(c Connection) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err = r.to.Write(append(line, '\n'))
	return err
}
