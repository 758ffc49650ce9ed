package clusters

// WorksFor says what a kind of health check works for beside HTTP/1.1 and HTTP/2.
type WorksFor struct{ Command, HTTP3 bool }

// Kinds are all kinds of health checks, by name.
func Kinds() map[string]WorksFor {
	all := map[string]WorksFor{}
	for name, k := range kinds {
		all[name] = WorksFor{k.command, k.http3}
	}
	return all
}
