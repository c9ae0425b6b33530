"""The environment a gateway starts with, and what it says of a wrong one."""

from pathlib import Path

import pytest

from app import settings
from tests.app.conftest import PEPPER, Aws, environment
from tests.servers import running

SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf"


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    queue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/knowledge"
    local = Aws("http://127.0.0.1:1", SECRET_ARN, SECRET_ARN)
    for name, value in environment(local, 6379, "https://api.openai.com/v1/", queue_url).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_every_setting_is_read_from_its_variable(good: pytest.MonkeyPatch) -> None:
    good.setenv("GATEWAY_PORT", "8081")
    loaded = settings.load()
    assert loaded.port == 8081
    assert loaded.openai_base_url == "https://api.openai.com/v1"
    assert loaded.key_pepper.get_secret_value() == PEPPER
    assert PEPPER not in repr(loaded)


@pytest.mark.parametrize("name", sorted(settings.environment_variables()))
def test_no_variable_has_a_silent_default(good: pytest.MonkeyPatch, name: str) -> None:
    good.delenv(name)
    with pytest.raises(settings.SettingsError, match=f"^{name} is not set. Set it to "):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_REGION", "nowhere"),
        ("GATEWAY_PORT", "99999"),
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_TABLE_NAME", ""),
        ("GATEWAY_CACHE_URL", "redis://cache.example.com:6379"),
        ("GATEWAY_CACHE_URL", "rediss://cache.example.com"),
        ("GATEWAY_CACHE_SECRET_ARN", "my-secret"),
        ("GATEWAY_DEPLOYMENT_ROUTING", "random"),
        ("GATEWAY_MODEL_ALIASES", '{"fast": []}'),
        ("GATEWAY_MODEL_PRICES", "gpt-4o"),
        ("GATEWAY_ALERT_TOPIC_ARN", "alerts"),
        ("GATEWAY_KNOWLEDGE_QUEUE_URL", "knowledge"),
        ("GATEWAY_KNOWLEDGE_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com"),
        ("GATEWAY_OPENAI_BASE_URL", "http://api.openai.com/v1"),
        ("GATEWAY_KEY_PEPPER", "short"),
        ("GATEWAY_REQUESTS_PER_MINUTE", "0"),
        ("GATEWAY_STOP_TIMEOUT_S", "121"),
    ],
)
def test_a_wrong_value_is_refused_by_name(good: pytest.MonkeyPatch, name: str, value: str) -> None:
    good.setenv(name, value)
    with pytest.raises(settings.SettingsError, match=f"(?m)^{name}"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_KEY_PEPPER", "too-short-but-secret"),
        ("GATEWAY_CACHE_URL", "rediss://user:hunter2@cache.example.com:6379"),
        ("GATEWAY_OPENAI_BASE_URL", "https://user:hunter2@api.openai.com/v1"),
    ],
)
def test_a_secret_in_a_wrong_value_is_not_repeated(good: pytest.MonkeyPatch, name: str, value: str) -> None:
    good.setenv(name, value)
    with pytest.raises(settings.SettingsError) as refused:
        settings.load()
    assert value not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_the_process_names_every_problem_at_once_and_exits_with_2() -> None:
    with running("app", environment={"GATEWAY_PORT": "many", "GATEWAY_KEY_PEPPER": "too-short"}) as program:
        assert program.ended() == 2
        said = program.everything().decode()
    assert all(name in said for name in settings.environment_variables())
    assert "Traceback" not in said
    assert "too-short" not in said


def test_the_settings_are_the_only_reader_of_the_environment() -> None:
    app = Path(settings.__file__).parent
    readers = {
        path.relative_to(app).as_posix()
        for path in app.rglob("*.py")
        if "environ" in path.read_text().replace("environment", "")
    }
    # Programs of their own: the health check, and the command that is a client.
    assert readers == {"healthcheck.py", "admin/__main__.py"}
