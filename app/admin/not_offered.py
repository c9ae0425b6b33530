"""Calls that OpenAI's SDK has and this gateway does not answer, each with the reason its caller is told."""

from dataclasses import dataclass

MUTUAL_TLS = "Mutual TLS would be the load balancer's, whose trust store is part of the stack."
OWN_ENCRYPTION = "The stack encrypts with its own key of AWS KMS."
OWN_STORAGE = "Records stay in the stack's own bucket."
NO_GROUPS = "Members are users and service accounts; there are no groups of them."
KEYS_ONLY = "Callers have keys; programs on AWS read theirs from Secrets Manager."
TOOLS_AT_OPENAI = "Which of OpenAI's own tools may be called is set at OpenAI."
TIER_IN_REQUEST = "A request names its service_tier itself."
NOT_SERVED = "The gateway serves no such endpoint, so there is nothing to count."
PREDEFINED_ROLES = (
    "Roles are predefined: owner and reader of the organization, owner and member of a project."
)
NOT_BUILT = "It is not built yet."


@dataclass(frozen=True, slots=True)
class NotOffered:
    """sdk: the call's dotted name below `client.admin.organization`. path: below /v1. reason: a sentence."""

    sdk: str
    method: str
    path: str
    reason: str


def _calls(resource: str, path: str, reason: str, lines: str) -> tuple[NotOffered, ...]:
    """lines: a call of the resource each, with its method and what follows the path."""
    parts = [line.split() for line in lines.strip().splitlines()]
    return tuple(
        NotOffered(f"{resource}.{name}", method, path + "".join(rest), reason)
        for name, method, *rest in parts
    )


NOT_OFFERED = (
    *_calls(
        "certificates",
        "/organization/certificates",
        MUTUAL_TLS,
        """
        activate POST /activate
        create POST
        deactivate POST /deactivate
        delete DELETE /{certificate_id}
        list GET
        retrieve GET /{certificate_id}
        update POST /{certificate_id}
        """,
    ),
    *_calls(
        "projects.certificates",
        "/organization/projects/{project_id}/certificates",
        MUTUAL_TLS,
        """
        activate POST /activate
        deactivate POST /deactivate
        list GET
        """,
    ),
    *_calls(
        "data_retention",
        "/organization/data_retention",
        NOT_BUILT,
        """
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "projects.data_retention",
        "/organization/projects/{project_id}/data_retention",
        NOT_BUILT,
        """
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "projects.model_permissions",
        "/organization/projects/{project_id}/model_permissions",
        NOT_BUILT,
        """
        delete DELETE
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "projects.rate_limits",
        "/organization/projects/{project_id}/rate_limits",
        NOT_BUILT,
        """
        list_rate_limits GET
        update_rate_limit POST /{rate_limit_id}
        """,
    ),
    *_calls(
        "projects.roles",
        "/projects/{project_id}/roles",
        PREDEFINED_ROLES,
        """
        create POST
        delete DELETE /{role_id}
        update POST /{role_id}
        """,
    ),
    *_calls(
        "projects.spend_alerts",
        "/organization/projects/{project_id}/spend_alerts",
        NOT_BUILT,
        """
        create POST
        delete DELETE /{alert_id}
        list GET
        retrieve GET /{alert_id}
        update POST /{alert_id}
        """,
    ),
    *_calls(
        "projects.spend_limit",
        "/organization/projects/{project_id}/spend_limit",
        NOT_BUILT,
        """
        delete DELETE
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "roles",
        "/organization/roles",
        PREDEFINED_ROLES,
        """
        create POST
        delete DELETE /{role_id}
        update POST /{role_id}
        """,
    ),
    *_calls(
        "spend_alerts",
        "/organization/spend_alerts",
        NOT_BUILT,
        """
        create POST
        delete DELETE /{alert_id}
        list GET
        retrieve GET /{alert_id}
        update POST /{alert_id}
        """,
    ),
    *_calls(
        "spend_limit",
        "/organization/spend_limit",
        NOT_BUILT,
        """
        delete DELETE
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "usage",
        "/organization",
        NOT_BUILT,
        """
        completions GET /usage/completions
        costs GET /costs
        embeddings GET /usage/embeddings
        moderations GET /usage/moderations
        """,
    ),
    *_calls(
        "external_keys",
        "/organization/external_keys",
        OWN_ENCRYPTION,
        """
        create POST
        delete DELETE /{external_key_id}
        list GET
        retrieve GET /{external_key_id}
        validate POST /{external_key_id}/validate
        """,
    ),
    *_calls(
        "external_storage",
        "/organization/external_storage",
        OWN_STORAGE,
        """
        create POST
        delete DELETE /{external_storage_id}
        list GET
        retrieve GET /{external_storage_id}
        validate POST /{external_storage_id}/validate
        """,
    ),
    *_calls(
        "groups",
        "/organization/groups",
        NO_GROUPS,
        """
        create POST
        delete DELETE /{group_id}
        list GET
        retrieve GET /{group_id}
        update POST /{group_id}
        """,
    ),
    *_calls(
        "groups.roles",
        "/organization/groups/{group_id}/roles",
        NO_GROUPS,
        """
        create POST
        delete DELETE /{role_id}
        list GET
        retrieve GET /{role_id}
        """,
    ),
    *_calls(
        "groups.users",
        "/organization/groups/{group_id}/users",
        NO_GROUPS,
        """
        create POST
        delete DELETE /{user_id}
        list GET
        retrieve GET /{user_id}
        """,
    ),
    *_calls(
        "projects.groups",
        "/organization/projects/{project_id}/groups",
        NO_GROUPS,
        """
        create POST
        delete DELETE /{group_id}
        list GET
        retrieve GET /{group_id}
        """,
    ),
    *_calls(
        "projects.groups.roles",
        "/projects/{project_id}/groups/{group_id}/roles",
        NO_GROUPS,
        """
        create POST
        delete DELETE /{role_id}
        list GET
        retrieve GET /{role_id}
        """,
    ),
    *_calls(
        "projects.hosted_tool_permissions",
        "/organization/projects/{project_id}/hosted_tool_permissions",
        TOOLS_AT_OPENAI,
        """
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "projects.service_tier_settings",
        "/organization/projects/{project_id}/service_tier_settings",
        TIER_IN_REQUEST,
        """
        retrieve GET
        update POST
        """,
    ),
    *_calls(
        "usage",
        "/organization/usage",
        NOT_SERVED,
        """
        audio_speeches GET /audio_speeches
        audio_transcriptions GET /audio_transcriptions
        code_interpreter_sessions GET /code_interpreter_sessions
        decisions GET /decisions
        file_search_calls GET /file_search_calls
        images GET /images
        vector_stores GET /vector_stores
        web_search_calls GET /web_search_calls
        """,
    ),
    *_calls(
        "workload_identity_providers",
        "/organization/workload_identity_providers",
        KEYS_ONLY,
        """
        create POST
        delete DELETE /{provider_id}
        list GET
        retrieve GET /{provider_id}
        update POST /{provider_id}
        """,
    ),
    *_calls(
        "workload_identity_providers.federation_rules",
        "/organization/workload_identity_providers/{provider_id}/federation_rules",
        KEYS_ONLY,
        """
        create POST
        delete DELETE /{rule_id}
        list GET
        retrieve GET /{rule_id}
        update POST /{rule_id}
        """,
    ),
)
