"""Every call that is answered, resource by resource."""

from app.admin import (
    admin_api_keys,
    api_keys,
    audit_logs,
    costs,
    projects,
    service_accounts,
    usage,
)
from app.admin.call import Call

CALLS: tuple[Call, ...] = (
    *projects.CALLS,
    *service_accounts.CALLS,
    *api_keys.CALLS,
    *admin_api_keys.CALLS,
    *audit_logs.CALLS,
    *usage.CALLS,
    *costs.CALLS,
)
