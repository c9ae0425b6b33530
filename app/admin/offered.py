"""Every call that is answered, resource by resource."""

from app.admin import admin_api_keys, api_keys, audit_logs, project_settings, projects, service_accounts
from app.admin.call import Call

CALLS: tuple[Call, ...] = (
    *projects.CALLS,
    *project_settings.CALLS,
    *service_accounts.CALLS,
    *api_keys.CALLS,
    *admin_api_keys.CALLS,
    *audit_logs.CALLS,
)
