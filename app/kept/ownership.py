"""Of what a request refers to, the project's own goes upstream; another's is told of as nobody's."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from app import errors
from app.batches.records import Records
from app.endpoints import RESPONSES, ApiRequest
from app.errors import invalid_request
from app.identity import Caller
from app.kept.ids import KeptIds, ProjectIds
from app.kept.references import references
from app.table import TableUnavailableError

MAX_FILES = 20
"""Of one request, each of which is looked up."""

MAX_ID_CHARACTERS = 200


class Ownership:
    """ids: of responses, which say themselves whose they are. records: of files."""

    def __init__(self, ids: KeptIds, records: Records) -> None:
        self._ids = ids
        self._records = records

    async def own(self, request: ApiRequest, caller: Caller) -> ApiRequest:
        """The request with the upstream's ids. Raises ApiError (400, 404, 503)."""
        found = references(request, lambda given: self._ids.of(caller.project_id).opened(given))
        if found.files:
            await self._check(found.files, caller.project_id)
        if found.members:
            request = request.rewritten(found.members)
        return replace(request, kept=True) if found.any or request.endpoint.is_kept(request) else request

    def signing(self, request: ApiRequest, caller: Caller) -> ProjectIds | None:
        """What signs the answer's ids, None when there is nothing to be referred to later."""
        # What may be kept in the cache keeps nothing upstream, and may be another project's answer too.
        if request.endpoint is not RESPONSES or request.endpoint.is_pure(request):
            return None
        return self._ids.of(caller.project_id)

    async def _check(self, files: Sequence[tuple[str, str]], project_id: str) -> None:
        params = {file_id: param for param, file_id in reversed(files)}
        if len(params) > MAX_FILES:
            raise invalid_request(
                f"The request refers to {len(params)} files. Send {MAX_FILES} or fewer.",
                param=files[MAX_FILES][0],
                code="array_above_max_length",
            )
        try:
            await asyncio.gather(*(self._check_file(*file, project_id) for file in params.items()))
        except TableUnavailableError:
            raise errors.batches_unavailable() from None

    async def _check_file(self, file_id: str, param: str, project_id: str) -> None:
        known = len(file_id) <= MAX_ID_CHARACTERS and await self._records.get("FILE", project_id, file_id)
        if not known:
            raise errors.no_such("File", file_id, param)
