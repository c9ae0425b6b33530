"""The tests mirror the tree: tests/infra tests infra/, and so on."""
