"""Every call that is answered, resource by resource."""

from app.admin import (
    admin_api_keys,
    api_keys,
    audit_logs,
    costs,
    data_retention,
    model_permissions,
    projects,
    rate_limits,
    service_accounts,
    spend_alerts,
    spend_limits,
    usage,
)
from app.admin.call import Call

CALLS: tuple[Call, ...] = (
    *projects.CALLS,
    *service_accounts.CALLS,
    *api_keys.CALLS,
    *admin_api_keys.CALLS,
    *audit_logs.CALLS,
    *rate_limits.CALLS,
    *model_permissions.CALLS,
    *spend_limits.CALLS,
    *spend_alerts.CALLS,
    *data_retention.CALLS,
    *usage.CALLS,
    *costs.CALLS,
)
