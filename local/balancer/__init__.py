"""The deployed load balancer on this machine: an Envoy that serves its listeners, rules and target groups."""
