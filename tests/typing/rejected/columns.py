from __future__ import annotations

from tests.typing.declarations import MarketSchedule, Rate

import ashioto as ao

good = Rate.price > 0
wrong_time = Rate.at < 3  # error: time and number
wrong_text: ao.Column[bool] = Rate.broker == 3  # error: text and number
wrong_sides = Rate.at == MarketSchedule.market_date  # error: time and date
wrong_float = Rate.price > 1.5  # error: a float is not exact
wrong_mix = Rate.price * 1.5  # error: a float is not exact
wrong_sum = Rate.broker + "x"  # error: text is not added
wrong_and = Rate.price & Rate.size  # error: no conditions
wrong_not = ~Rate.price  # error: no condition
wrong_neg = -Rate.at  # error: no number
wrong_max = ao.max(Rate.broker)  # error: text has no max
wrong_first = ao.first(Rate.at)  # error: no number
wrong_avg = ao.avg(3)  # error: no column
wrong_column = Rate.prise  # error: no such column
wrong_count = ao.count(Rate.price)  # error: counts ticks
