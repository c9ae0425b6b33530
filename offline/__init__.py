"""What can be said of a stack without an account: its graph, its cost, a table of its resources."""
