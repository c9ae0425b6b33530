"""What every program imports, for the process that programs are forked from: half of a program's time."""

import importlib
import re

import infra.stack
from infra.config import ROOT

__all__ = ["infra"]

_SERVICE = re.compile(r"\baws\.([a-z]\w*)\.[A-Z]")

# pulumi_aws loads a service's module when it is first used, in each program anew.
for service in {name for file in ROOT.glob("infra/*.py") for name in _SERVICE.findall(file.read_text())}:
    importlib.import_module(f"pulumi_aws.{service}")
