"""A real Pulumi engine on local AWS: the same handlers as the mock seam, spoken to as a provider plugin."""
