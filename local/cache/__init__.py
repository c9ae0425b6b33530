"""The deployed cache on this machine: Valkey behind an Envoy that terminates TLS."""
