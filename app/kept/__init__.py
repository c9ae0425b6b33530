"""What the upstream keeps in one account for all projects, and that each project reaches its own alone."""

from app.kept.ids import KeptIds, ProjectIds
from app.kept.ownership import Ownership

__all__ = ["KeptIds", "Ownership", "ProjectIds"]
