"""Whether a request may go ahead now: limits and budgets that hold across all replicas, kept in Valkey."""
