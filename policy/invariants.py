"""All that must hold for a stack: each predicate gives a sentence for every resource that breaks it."""

from collections.abc import Callable

from policy.access import (
    buckets_are_private,
    every_wildcard_resource_has_a_reason,
    no_wildcard_action,
    nobody_is_everybody,
    services_act_for_this_account_only,
)
from policy.container import (
    containers_are_unprivileged,
    no_secret_in_plain_environment,
    secrets_come_by_reference,
)
from policy.encryption import cache_is_authenticated_over_tls, encrypted_with_the_stacks_key, keys_rotate
from policy.execute_command import nobody_can_enter_by_accident, sessions_are_logged
from policy.front import (
    balancers_keep_access_logs,
    firewall_logs_hold_no_key,
    public_balancers_stand_behind_a_firewall,
)
from policy.lifecycle import (
    autoscaling_owns_the_number_of_tasks,
    every_log_group_has_a_retention,
    everything_is_tagged,
    production_is_protected,
    table_can_be_restored,
)
from policy.network import (
    cache_has_no_way_out,
    https_where_there_is_a_certificate,
    nothing_has_a_public_address,
    public_ingress_only_at_the_balancer,
    security_groups_are_acyclic,
)
from policy.operators import (
    operators_do_not_read_data,
    operators_enter_no_task,
    roles_are_bounded,
    workflows_are_known,
)
from policy.resource import Graph
from policy.secrets import every_secret_names_its_readers
from policy.spend import spending_is_watched
from policy.watch import alarms_reach_people, deployments_roll_back

Invariant = Callable[[Graph], list[str]]

INVARIANTS: tuple[Invariant, ...] = (
    public_ingress_only_at_the_balancer,
    nothing_has_a_public_address,
    cache_has_no_way_out,
    security_groups_are_acyclic,
    https_where_there_is_a_certificate,
    public_balancers_stand_behind_a_firewall,
    firewall_logs_hold_no_key,
    balancers_keep_access_logs,
    encrypted_with_the_stacks_key,
    keys_rotate,
    cache_is_authenticated_over_tls,
    no_secret_in_plain_environment,
    secrets_come_by_reference,
    every_secret_names_its_readers,
    containers_are_unprivileged,
    no_wildcard_action,
    every_wildcard_resource_has_a_reason,
    nobody_is_everybody,
    services_act_for_this_account_only,
    roles_are_bounded,
    workflows_are_known,
    operators_do_not_read_data,
    operators_enter_no_task,
    sessions_are_logged,
    nobody_can_enter_by_accident,
    buckets_are_private,
    production_is_protected,
    table_can_be_restored,
    every_log_group_has_a_retention,
    everything_is_tagged,
    autoscaling_owns_the_number_of_tasks,
    alarms_reach_people,
    deployments_roll_back,
    spending_is_watched,
)


def violations(graph: Graph) -> list[str]:
    """Every sentence of every invariant."""
    return [sentence for invariant in INVARIANTS for sentence in invariant(graph)]
