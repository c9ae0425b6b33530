"""The stack on AWS as a Pulumi program: one component a file, wired in stack.py."""
