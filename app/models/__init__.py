"""Which model answers: names that stand for others, what a project may use, and which is asked first."""
