"""What is applied is what is exported, whatever it is, and to apply it again changes nothing."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from tests.app.admin.document.command import Command
from tests.app.admin.document.documents import Document, canonical, documents, people_of
from tests.app.admin.people import People
from tests.app.conftest import Aws, Gateway


# Every example is an organization at a real gateway: a failure is shown as it was found, not made smaller.
@settings(
    max_examples=10,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(document=documents(), later=documents())
def test_an_organization_becomes_what_a_file_says_and_then_what_another_says(
    aws: Aws, gateway: Gateway, document: Document, later: Document
) -> None:
    people = People(aws, gateway)
    with tempfile.TemporaryDirectory() as folder:
        command = Command(people, Path(folder))
        for file in (document, later):
            wanted = {**file, "users": [*people_of(people), *file["users"]]}
            said = command.apply(wanted, "--prune")
            assert said.code == 0, (said, wanted)
            exported = command.export()
            assert canonical(exported) == canonical(wanted), said.out
            log = len(people.log())
            assert command.apply(exported, "--prune").out == "no changes\n"
            assert command.apply(wanted).out == "no changes\n"
            assert len(people.log()) == log
