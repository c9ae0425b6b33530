"""Whether a request may go ahead now: limits that hold across all replicas, counted in Valkey."""

from app.admission.limits import Admission, Grant

__all__ = ["Admission", "Grant"]
