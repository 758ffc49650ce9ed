package filter

// A Flag says why the gateway, and not an upstream, decided a request's fate.
// The names are Envoy's response flags, so that dashboards written for the one
// read the other.
type Flag string

const (
	FlagNoRoute                         Flag = "no_route_found"
	FlagNoHealthyUpstream               Flag = "no_healthy_upstream"
	FlagNoCluster                       Flag = "no_cluster_found"
	FlagUpstreamOverflow                Flag = "upstream_overflow"
	FlagUpstreamConnectionFailure       Flag = "upstream_connection_failure"
	FlagUpstreamConnectionTermination   Flag = "upstream_connection_termination"
	FlagUpstreamProtocolError           Flag = "upstream_protocol_error"
	FlagUpstreamRequestTimeout          Flag = "upstream_request_timeout"
	FlagStreamIdleTimeout               Flag = "stream_idle_timeout"
	FlagDownstreamConnectionTermination Flag = "downstream_connection_termination"
	FlagDownstreamProtocolError         Flag = "downstream_protocol_error"
	// FlagOverload marks what was refused because a limit of ours was reached.
	FlagOverload     Flag = "overload_manager"
	FlagUnauthorized Flag = "unauthorized"
	// FlagDrained marks a stream that was ended, cleanly, because its
	// connection had to go.
	FlagDrained Flag = "local_reset"
	// FlagUpstreamUnauthorized marks an upstream that refused the gateway's
	// own credentials.
	FlagUpstreamUnauthorized Flag = "upstream_unauthorized"
)
