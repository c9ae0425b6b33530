"""Tests of the Pulumi program, alone and as the whole graph of a stack."""
