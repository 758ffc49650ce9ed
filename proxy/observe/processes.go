package observe

import (
	"errors"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

func traceProcesses(logs *logging.Logs, m *metrics) process.Trace {
	stderrOmitted := m.counter("cluster_stderr_lines_omitted_total", "Lines that processes wrote to stderr and that are not in the log, since they were too many.", "cluster")
	return process.Trace{
		Event: func(cluster string, event process.Event, err error) {
			log := logs.Logger()
			e := log.Debug()
			switch {
			case event == process.Queued, errors.Is(err, process.ErrTaken):
				e = log.Info().Err(err)
			case err != nil && !errors.Is(err, process.ErrStopped):
				e = log.Warn().Err(err)
			}
			e.Str("cluster", cluster).Str("event", string(event)).Msg("child process")
		},
		Stderr: func(cluster, line string) {
			logs.Logger().Info().Str("cluster", cluster).Str("stderr", line).Msg("a child process wrote to stderr")
		},
		StderrOmitted: func(cluster string, lines int) {
			stderrOmitted.WithLabelValues(cluster).Add(float64(lines))
			logs.Logger().Warn().Str("cluster", cluster).Int("lines", lines).Msg("a child process wrote more to stderr than is logged; these lines are left out")
		},
	}
}
