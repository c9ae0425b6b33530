"""Puts repaired methods in the place of moto's."""

from typing import Any


def patch(owner: type, **methods: Any) -> None:
    """Replaces or adds methods of a class of moto's."""
    for name, method in methods.items():
        setattr(owner, name, method)
