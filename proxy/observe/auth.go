package observe

import (
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

func traceAuth(logs *logging.Logs) *filter.AuthTrace {
	return &filter.AuthTrace{
		JWKS: func(url string, keys int, err error) {
			log := logs.Logger()
			if err != nil {
				log.Warn().Str("url", url).Err(err).Msg("the key set could not be fetched; the last known keys stay in use")
				return
			}
			log.Debug().Str("url", url).Int("keys", keys).Msg("key set fetched")
		},
	}
}
