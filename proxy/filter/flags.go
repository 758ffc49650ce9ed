package filter

// A Flag says why the gateway, and not an upstream, decided a request's fate.
// The names are Envoy's response flags, so that dashboards written for the one
// read the other.
type Flag string

// The flags, in the order in which a request can meet them.
const (
	// FlagDownstreamProtocolError: the client sent what the protocol does not allow.
	FlagDownstreamProtocolError Flag = "downstream_protocol_error"
	// FlagNoRoute: no route matches.
	FlagNoRoute Flag = "no_route_found"
	// FlagUnauthorized: authentication refused the request; the reason says why.
	FlagUnauthorized Flag = "unauthorized"
	// FlagOverload marks what was refused because a limit of ours was reached.
	FlagOverload Flag = "overload_manager"
	// FlagNoHealthyUpstream: no endpoint of the cluster may take traffic.
	FlagNoHealthyUpstream Flag = "no_healthy_upstream"
	// FlagUpstreamOverflow: a limit of the cluster is reached.
	FlagUpstreamOverflow Flag = "upstream_overflow"
	// FlagUpstreamConnectionFailure: no connection to the endpoint could be made,
	// or its TLS handshake failed.
	FlagUpstreamConnectionFailure Flag = "upstream_connection_failure"
	// FlagUpstreamUnauthorized marks an upstream that refused the gateway's
	// own credentials.
	FlagUpstreamUnauthorized Flag = "upstream_unauthorized"
	// FlagUpstreamRequestTimeout: the answer did not begin in time.
	FlagUpstreamRequestTimeout Flag = "upstream_request_timeout"
	// FlagUpstreamProtocolError: the endpoint sent what the protocol does not allow.
	FlagUpstreamProtocolError Flag = "upstream_protocol_error"
	// FlagUpstreamConnectionTermination: the endpoint closed the connection before
	// its answer was complete.
	FlagUpstreamConnectionTermination Flag = "upstream_connection_termination"
	// FlagStreamIdleTimeout: neither side sent a byte for stream_idle_timeout.
	FlagStreamIdleTimeout Flag = "stream_idle_timeout"
	// FlagDrained marks a stream that was ended, cleanly, because its
	// connection had to go.
	FlagDrained Flag = "local_reset"
	// FlagDownstreamConnectionTermination: the client went away.
	FlagDownstreamConnectionTermination Flag = "downstream_connection_termination"
)
