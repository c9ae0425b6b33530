"""The program that Pulumi starts."""

from infra.config import load
from infra.stack import deploy

deploy(load())
