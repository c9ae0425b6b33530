"""Invites through the SDK and their page: one link, once, for a while; nobody else is told it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.admin.bootstrap import admit, is_bootstrap
from app.admin.layout import invite_address, plain
from app.keys import ADMIN_KEY_PREFIX, hash_key, random_key
from tests.app.admin.people import People, refused
from tests.app.admin.test_concurrency import at_once
from tests.app.conftest import PEPPER, REGION, TABLE

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def post(url: str, **fields: str) -> httpx2.Response:
    """What the page's forms send of a link."""
    return httpx2.post(url.partition("#")[0], data={"invite": url, **fields}, trust_env=False)


def look(url: str) -> httpx2.Response:
    return post(url)


def accept(url: str, name: str = "Ada <Lovelace>") -> httpx2.Response:
    return post(url, name=name)


def token_of(url: str) -> str:
    return url.rpartition("#")[2]


def key_on(page: httpx2.Response) -> str:
    assert page.status_code == 200, page.text
    [key] = re.findall(r"sk-admin-gw-[A-Za-z0-9_-]{43}", page.text)
    return str(key)


def stored(people: People, url: str) -> dict[str, Any]:
    address = invite_address(hash_key(PEPPER, token_of(url)))
    found = people.aws.client("dynamodb").get_item(TableName=TABLE, Key=address.key())
    return plain(found["Item"])


def test_an_invite_makes_a_user_in_its_role_and_projects(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    invite = people.api.invites.create(
        email="Ada@Example.com", role="reader", projects=[{"id": project.id, "role": "owner"}]
    )
    assert (invite.status, invite.email, invite.accepted_at) == ("pending", "ada@example.com", None)
    assert invite.expires_at - invite.created_at == 7 * 24 * 3600
    page = accept(invite.accept_url)
    assert "Ada &lt;Lovelace&gt;" in page.text
    api = people.client(key_on(page)).admin.organization
    [me] = [user for user in people.api.users.list() if user.email == "ada@example.com"]
    assert (me.name, me.role) == ("Ada <Lovelace>", "reader")
    assert api.projects.users.retrieve(me.id, project_id=project.id).role == "owner"
    assert [one.id for one in api.projects.list()] == [project.id]
    after = people.api.invites.retrieve(invite.id)
    assert (after.status, after.accepted_at is not None) == ("accepted", True)
    log = people.log()[1:]
    assert [entry["type"] for entry in log] == [
        "invite.sent",
        "invite.accepted",
        "user.added",
        "user.added",
        "api_key.created",
    ]
    assert {entry["actor"]["session"]["user"]["id"] for entry in log[1:]} == {me.id}
    assert {entry["actor"]["session"]["ip_address"] for entry in log[1:]} == {"127.0.0.1"}


def test_looking_at_the_page_does_not_use_the_link_up_and_accepting_does(people: People) -> None:
    url = people.api.invites.create(email="ada@example.com", role="reader").accept_url
    for _ in range(2):
        assert look(url).status_code == 200
    assert key_on(accept(url))
    for again in (look(url), accept(url)):
        assert again.status_code == 410
        assert "sk-admin" not in again.text
    assert len(list(people.api.users.list())) == 3


def test_of_many_who_accept_at_once_one_is_let_in(people: People) -> None:
    url = people.api.invites.create(email="ada@example.com", role="owner").accept_url
    pages = at_once(*(lambda: accept(url),) * 6)
    assert sorted(page.status_code for page in pages) == [200, *[410] * 5]
    assert len(list(people.api.users.list(emails=["ada@example.com"]))) == 1


def test_the_page_can_be_read_by_all_and_tells_nobody_of_the_link(people: People) -> None:
    url = people.api.invites.create(email="ada@example.com", role="owner").accept_url
    entrance, page = httpx2.get(url, trust_env=False), look(url)
    assert httpx2.head(url, trust_env=False).status_code == entrance.status_code == 200
    for answer in (entrance, page):
        for header, value in {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }.items():
            assert answer.headers[header] == value
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert '<html lang="en">' in answer.text
        assert "<main>" in answer.text
        for part in ("src=", "href=", "action="):
            assert part not in answer.text
    assert '<label for="invite">' in entrance.text
    assert token_of(url) not in entrance.text
    for part in ("<title>Accept the invite</title>", '<label for="name">', 'id="name"', "ada@example.com"):
        assert part in page.text
    assert "<script" not in page.text


def test_the_link_is_good_as_a_whole_and_by_its_token(people: People) -> None:
    url = people.api.invites.create(email="ada@example.com", role="reader").accept_url
    for pasted in (url, f" {url} ", token_of(url), f"#{token_of(url)}"):
        page = httpx2.post(url.partition("#")[0], data={"invite": pasted}, trust_env=False)
        assert (page.status_code, "ada@example.com" in page.text) == (200, True)


def test_no_log_is_told_of_the_link(people: People) -> None:
    """What a browser asks for by it is the page, and the token is in the bodies of its forms alone."""
    url = people.api.invites.create(email="ada@example.com", role="reader").accept_url
    for answer in (httpx2.get(url, trust_env=False), look(url), accept(url)):
        assert answer.status_code == 200
        assert answer.request.url.raw_path == b"/invites"
        line = people.gateway.program.said("request", request_id=answer.headers["x-request-id"])
        assert line["path"] == "/invites"
        assert token_of(url) not in repr(line)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_that_follows_the_link_is_asked_for_the_name(people: People, tmp_path: Path) -> None:
    invite = people.api.invites.create(email="ada@example.com", role="reader")
    run = subprocess.run(
        [
            str(BROWSER),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server"),
            *(f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom", invite.accept_url),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "ada@example.com is invited" in run.stdout, run
    assert people.api.invites.retrieve(invite.id).status == "pending"


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "two\nlines"])
def test_a_name_that_is_none_is_asked_for_again_and_the_link_stays_good(people: People, name: str) -> None:
    url = people.api.invites.create(email="ada@example.com", role="reader").accept_url
    page = accept(url, name)
    assert page.status_code == 400
    assert 'aria-describedby="fault"' in page.text
    assert key_on(accept(url, "Ada"))


def test_an_invite_expires(people: People) -> None:
    invite = people.api.invites.create(email="ada@example.com", role="reader")
    people.aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key=invite_address(hash_key(PEPPER, token_of(invite.accept_url))).key(),
        UpdateExpression="SET valid_until = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    for page in (look(invite.accept_url), accept(invite.accept_url)):
        assert page.status_code == 410
        assert "expired" in page.text
    assert people.api.invites.retrieve(invite.id).status == "expired"


def test_a_deleted_invite_is_good_for_nothing(people: People) -> None:
    invite = people.api.invites.create(email="ada@example.com", role="reader")
    assert people.api.invites.delete(invite.id).deleted
    for page in (look(invite.accept_url), accept(invite.accept_url)):
        assert page.status_code == 404
    assert [entry["type"] for entry in people.log()] == ["invite.sent", "invite.deleted"]


def test_what_is_no_invite_is_refused_with_a_page(people: People) -> None:
    base = f"{people.gateway.url}/invites"
    for token in ("nothing", "invite-gw-" + "x" * 43, "a#b", ""):
        assert look(f"{base}#{token}").status_code == accept(f"{base}#{token}").status_code == 404
    for body in (b"", b"\xff", b"invite", b"invite=&invite=" + b"&x=" * 20):
        assert httpx2.post(base, content=body, trust_env=False).status_code == 404
    assert httpx2.delete(base, trust_env=False).status_code == 405


def test_the_table_and_the_lists_do_not_hold_the_link(people: People) -> None:
    invite = people.api.invites.create(email="ada@example.com", role="reader")
    token = token_of(invite.accept_url)
    assert token not in repr(stored(people, invite.accept_url))
    assert [one.id for one in people.api.invites.list(limit=1)] == [invite.id]
    assert "accept_url" not in people.ask("GET", f"/organization/invites/{invite.id}").json()
    assert token not in repr(people.log())


def test_the_link_is_where_the_owner_reached_the_gateway(people: People) -> None:
    made = httpx2.post(
        f"{people.gateway.url}/v1/organization/invites",
        headers={
            "Authorization": f"Bearer {people.owner_key}",
            "Host": "gateway.example.com",
            "X-Forwarded-Proto": "https",
        },
        json={"email": "ada@example.com", "role": "reader"},
        trust_env=False,
    ).json()
    assert made["accept_url"].startswith("https://gateway.example.com/invites#invite-gw-")


def test_the_topic_is_told_without_the_link(people: People) -> None:
    sns, sqs = people.aws.client("sns"), people.aws.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    assert topic == f"arn:aws:sns:{REGION}:123456789012:alerts"
    queue = sqs.create_queue(QueueName=people.organization_id)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    try:
        invite = people.api.invites.create(email="ada@example.com", role="owner")
        key = key_on(accept(invite.accept_url))
        told = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    assert len(told) == 2
    for message in told:
        assert "ada@example.com" in message["Body"]
        assert "invite-gw-" not in message["Body"]
        assert key not in message["Body"]


def test_who_is_a_user_already_is_neither_invited_nor_let_in_again(people: People) -> None:
    taken = refused(lambda: people.api.invites.create(email="reader@example.com", role="owner"))
    assert (taken.code, taken.param) == ("email_taken", "email")
    first, second = (
        people.api.invites.create(email="ada@example.com", role="reader").accept_url for _ in range(2)
    )
    assert key_on(accept(first))
    late = accept(second)
    assert (late.status_code, "already" in late.text) == (400, True)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"email": "nobody", "role": "reader"}, "email"),
        ({"email": "a b@example.com", "role": "reader"}, "email"),
        ({"email": "ada@example.com", "role": "boss"}, "role"),
        ({"email": "ada@example.com", "role": "reader", "projects": [{"id": "x"}]}, "projects[0].role"),
        (
            {
                "email": "ada@example.com",
                "role": "reader",
                "projects": [{"id": "proj_none", "role": "member"}],
            },
            "projects[0].id",
        ),
    ],
)
def test_a_wrong_invite_is_refused_by_name(people: People, wrong: dict[str, Any], param: str) -> None:
    answer = refused(lambda: people.api.invites.create(**wrong))
    assert (answer.status_code, answer.param) == (400, param)
    assert people.log() == []


def test_a_project_of_another_organization_or_an_archived_one_is_none_to_invite_to(
    people: People, more_people: Callable[[], People]
) -> None:
    theirs = more_people().api.projects.create(name="Theirs").id
    over = people.api.projects.create(name="Over").id
    people.api.projects.archive(over)

    def invite_to(project: str) -> Any:
        return people.api.invites.create(
            email="ada@example.com", role="reader", projects=[{"id": project, "role": "member"}]
        )

    for answer in (refused(lambda: invite_to(theirs)), refused(lambda: invite_to(over))):
        assert answer.param == "projects[0].id"


def test_a_project_archived_meanwhile_is_left_out(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    invite = people.api.invites.create(
        email="ada@example.com", role="reader", projects=[{"id": project.id, "role": "member"}]
    )
    people.api.projects.archive(project.id)
    assert key_on(accept(invite.accept_url))
    [me] = people.api.users.list(emails=["ada@example.com"])
    assert me.projects.data == []


def test_the_bootstrap_ends_when_an_invited_owner_accepts(people: People) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    admit(people.aws.client("dynamodb"), TABLE, PEPPER, key, people.organization_id)
    api: Any = people.client(key).admin.organization
    first, second = (
        api.invites.create(email=f"{number}@example.com", role="owner").accept_url for number in range(2)
    )
    pages = at_once(lambda: accept(first), lambda: accept(second))
    for page in pages:
        assert people.client(key_on(page)).admin.organization.projects.create(name="By an owner").id
    assert refused(lambda: api.projects.create(name="After")).status_code == 401
    assert not any(is_bootstrap(user.id) for user in people.api.users.list())
    assert [entry["type"] for entry in people.log()].count("user.deleted") == 1
