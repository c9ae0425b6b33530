"""Files of organizations for tests: written by hand, generated, and compared without regard to order."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.app.admin.people import People

Document = dict[str, Any]

MODELS = ("gpt-4o", "gpt-4o-mini", "text-embedding-3-small")


def canonical(value: Any) -> Any:
    """The same for values that differ in the order of their lists only."""
    match value:
        case dict():
            return {name: canonical(one) for name, one in sorted(value.items())}
        case list():
            return sorted(map(canonical, value), key=lambda one: json.dumps(one, sort_keys=True))
        case _:
            return value


def people_of(people: People) -> list[dict[str, Any]]:
    """Those who are in an organization of tests from the beginning."""
    return [
        {"email": user["email"], "role": user["role"], "projects": {}}
        for user in (people.owner, people.reader)
    ]


_names = st.text("abcdefghijklmnopqrstuvwxyz ÄÖ日0123456789", min_size=1, max_size=12).filter(
    lambda name: bool(name.strip())
)
_usd = st.integers(0, 10**9).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
_emails = st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.example\.com", fullmatch=True)
_limit = st.integers(1, 10**9)


def _some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _unique(of: Callable[[Any], object], strategy: st.SearchStrategy[Any], most: int) -> Any:
    return st.lists(strategy, max_size=most, unique_by=of)


_alerts = st.lists(
    st.fixed_dictionaries(
        {
            "threshold_usd": _usd.filter(lambda usd: float(usd) > 0),
            "recipients": st.lists(_emails, min_size=1, max_size=3, unique=True).map(sorted),
            "subject_prefix": _some(st.sampled_from(["[staging]", "Watch out:"])),
        }
    ),
    max_size=3,
)
_rate_limits = _unique(
    lambda limit: limit["model"],
    st.tuples(
        st.sampled_from(MODELS),
        st.dictionaries(
            st.sampled_from(
                ["max_requests_per_1_minute", "max_tokens_per_1_minute", "max_requests_per_1_day"]
            ),
            _limit,
            min_size=1,
        ),
    ).map(lambda pair: {"model": pair[0], **pair[1]}),
    3,
)
_permissions = _some(
    st.fixed_dictionaries(
        {"mode": st.just("allow_list"), "model_ids": st.lists(st.sampled_from(MODELS), unique=True)}
    )
)
_settings = st.fixed_dictionaries(
    {},
    optional={
        "cache_ttl_s": st.integers(0, 3600),
        "cache_all": st.just(True),
        "default_model": st.sampled_from(MODELS),
        "model_aliases": st.just({"fast": {"models": ["gpt-4o-mini"]}}),
        "caps": st.fixed_dictionaries(
            {"max_tokens": st.integers(16, 10_000), "timeout_s": st.sampled_from([0.5, 60.0])}
        ),
    },
)
_projects = st.fixed_dictionaries(
    {
        "name": _names,
        "spend_limit_usd": _some(_usd),
        "spend_alerts": _alerts,
        "data_retention": st.sampled_from(
            ["organization_default", "zero_data_retention", "modified_abuse_monitoring"]
        ),
        "model_permissions": _permissions,
        "rate_limits": _rate_limits,
        "service_accounts": st.lists(
            st.fixed_dictionaries({"name": _names, "role": st.sampled_from(["member", "owner", "none"])}),
            max_size=2,
        ),
        "settings": _settings,
    }
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Complete files: nothing is left out. Users beside those of the organization are in its projects."""
    projects = draw(_unique(lambda project: project["name"], _projects, 2))
    roles = st.dictionaries(
        st.sampled_from([project["name"] for project in projects] or ["none"]),
        st.sampled_from(["owner", "member"]),
        max_size=2 if projects else 0,
    )
    user = st.fixed_dictionaries(
        {"email": _emails, "role": st.sampled_from(["owner", "reader"]), "projects": roles}
    )
    return {
        "spend_limit_usd": draw(_some(_usd)),
        "spend_alerts": draw(_alerts),
        "data_retention": draw(st.sampled_from(["zero_data_retention", "modified_abuse_monitoring"])),
        "users": draw(_unique(lambda one: one["email"], user, 2)),
        "projects": projects,
    }
