"""What a request was admitted with."""

import time
from dataclasses import dataclass, field

from app.admission.charge import Bounds
from app.endpoints import ApiRequest
from app.errors import Header
from app.identity import Caller
from app.prices import Price


@dataclass(slots=True)
class Hold:
    """To be settled once.

    limiter: "valkey", or "local" when the shared limits were out of reach. request: None when it costs
    nothing. beginning: of its usage record, encoded. money: micro-dollars held. expired: its usage record,
    encoded, should nobody settle it. generation: of the memory it is held in, "" for none.
    """

    caller: Caller
    request_id: str
    request: ApiRequest | None
    price: Price | None
    most: Bounds
    beginning: bytes
    money: int
    expired: bytes
    generation: str = ""
    limiter: str = "valkey"
    headers: list[Header] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    settled: bool = False
