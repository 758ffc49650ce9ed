package observe

import (
	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

func traceSPIFFE(logs *logging.Logs) *spiffe.Trace {
	return &spiffe.Trace{
		Updated: func(socket, id string) {
			logs.Logger().Info().Str("socket", socket).Str("id", id).Msg("the Workload API delivered an identity")
		},
		Failed: func(socket string, err error) {
			logs.Logger().Warn().Str("socket", socket).Err(err).Msg("the Workload API delivers no usable identity; the last one stays in use")
		},
	}
}
