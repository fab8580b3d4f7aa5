from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.typing.declarations import Rate

import ashioto as ao
from ashioto import Field

now = datetime.now(UTC)
good = Rate(broker="FX", symbol="USDJPY", at=now, price=Decimal(1))
Rate(broker=1, symbol="USDJPY", at=now, price=Decimal(1))  # error: text
Rate(broker="FX", symbol="USDJPY", at="2025-01-01", price=Decimal(1))  # error: time
Rate(broker="FX", symbol="USDJPY", at=now, price=1.5)  # error: float for Decimal
Rate(broker="FX", symbol="USDJPY", at=now)  # error: price is missing
Rate(broker="FX", symbol="USDJPY", at=now, price=Decimal(1), prise=Decimal(1))  # error: no such column
Rate("FX", "USDJPY", now, Decimal(1))  # error: keyword only
good.price = Decimal(2)  # error: records do not change
wrong: str = good.price  # error: Decimal


class Wrong(ao.Stream):
    at: Field[str] = ao.timestamp()  # error: a time is a datetime
    price: Field[float] = ao.decimal(18, 5)  # error: a decimal is a Decimal
    size: Field[str] = ao.field(default=3)  # error: default of another type
