"""What AWS asks, from `prices.yaml`: one price per thing and region."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PRICES = Path(__file__).with_name("prices.yaml")


class PricesFileError(Exception):
    """`prices.yaml` says something twice; the text says what and where."""


class UnknownPriceError(Exception):
    """A price that `prices.yaml` does not hold: what is missing and where to put it."""


@dataclass(frozen=True)
class Prices:
    """The prices of one region in US dollars, with their date and source."""

    region: str
    data: Mapping[str, Any]

    def of(self, name: str) -> Decimal:
        """A price by its name. Raises UnknownPriceError."""
        entry = self.data["prices"].get(name)
        if entry is None:
            raise UnknownPriceError(f"there is no price {name}; add it to offline/prices.yaml")
        return Decimal(entry.get(self.region, entry["usd"]))

    def cache_node_hour(self, node_type: str) -> Decimal:
        """What a cache node of that type costs an hour. Raises UnknownPriceError."""
        nodes = self.data["cache_nodes"]
        if node_type not in nodes:
            raise UnknownPriceError(
                f"there is no price of a {node_type}; known are {', '.join(nodes)}. Add its hour on demand "
                "(ElastiCache for Valkey, us-east-1) to cache_nodes in offline/prices.yaml"
            )
        return Decimal(nodes[node_type]) * Decimal(self.data["cache_node_factors"].get(self.region, "1"))

    def free(self, kind: str) -> str | None:
        """Why a type of resource costs nothing, None where nobody said so. kind: as `ec2/vpc:Vpc`."""
        reason: str | None = self.data["free"].get(kind)
        return reason

    @property
    def provenance(self) -> str:
        """One line: source and date, and which prices were not read there."""
        others, known = len(self.data["second_hand"]), len(self.data["prices"])
        line = f"{self.data['source']}, read {self.data['read_on']}; {others} of {known}, the small ones, "
        line += "from elsewhere (`second_hand` in offline/prices.yaml says where)"
        if self.region in self.data["unverified_regions"]:
            line += f"; {self.region}'s own prices were not read there and may be a tenth off"
        return line


class _OnceLoader(yaml.SafeLoader):
    """Of two values for one key YAML's own loader takes the last and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                line = node.value[position][0].start_mark.line + 1
                raise PricesFileError(f"offline/prices.yaml, line {line}: {key} is there twice; keep one")
        return super().construct_mapping(node, deep)


def read(text: str) -> Mapping[str, Any]:
    """What `prices.yaml` says. Raises PricesFileError."""
    data: Mapping[str, Any] = yaml.load(text, _OnceLoader)  # noqa: S506  a SafeLoader that is stricter
    return data


@cache
def _data() -> Mapping[str, Any]:
    return read(PRICES.read_text())


def prices_of(region: str) -> Prices:
    """The prices of a US region."""
    return Prices(region, _data())
