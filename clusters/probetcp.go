package clusters

import "context"

// tcpProber wants a connection, TLS included.
type tcpProber struct{}

func (tcpProber) NewProbe(_ *Cluster, e *Endpoint) Probe { return tcpProbe{e} }

type tcpProbe struct{ endpoint *Endpoint }

func (p tcpProbe) Check(ctx context.Context) error {
	c, err := p.endpoint.pool.Dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

func (tcpProbe) Close(context.Context) {}
