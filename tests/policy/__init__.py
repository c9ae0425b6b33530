"""Tests of the predicates: each must see the mistake it is there for."""
