"""What `python -m local` can do, one command per file."""
