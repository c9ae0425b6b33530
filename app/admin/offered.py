"""Every call that is answered, resource by resource."""

from app.admin import (
    admin_api_keys,
    api_keys,
    audit_logs,
    costs,
    data_retention,
    invites,
    model_permissions,
    project_settings,
    project_users,
    projects,
    rate_limits,
    roles,
    service_accounts,
    spend_alerts,
    spend_limits,
    usage,
    user_roles,
    users,
)
from app.admin.call import Call

CALLS: tuple[Call, ...] = (
    *projects.CALLS,
    *project_settings.CALLS,
    *project_users.CALLS,
    *service_accounts.CALLS,
    *api_keys.CALLS,
    *users.CALLS,
    *invites.CALLS,
    *roles.CALLS,
    *user_roles.CALLS,
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
