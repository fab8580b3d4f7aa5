from __future__ import annotations

from tests.typing.declarations import MarketSchedule, Rate

import ashioto as ao
from ashioto import Period
from ashioto.dsl import Context

events = Context("trading").events(Rate)
window = events.tumbling(Rate.at, Period.minutes(1))
selected = window.select(ticks=ao.count())
Context("trading").where(Rate.size > 0)  # error: events first
Context("trading").events(MarketSchedule)  # error: a table
events.select(ticks=ao.count())  # error: tumbling first
events.group_by(Rate.broker)  # error: tumbling first
events.to_query()  # error: nothing selected
events.where(Rate.size)  # error: no condition
events.where(Rate.broker == 3)  # error: text and number
events.where(True)  # error: no column
events.time_frame(MarketSchedule)  # error: no condition
events.time_frame(ao.AlwaysOpen).where(Rate.size > 0)  # error: too late
events.time_frame(ao.AlwaysOpen).time_frame(ao.AlwaysOpen)  # error: twice
events.tumbling(Rate.price, Period.minutes(1))  # error: no time
events.tumbling(Rate.at, 5)  # error: no period
events.tumbling(Rate.at, Period.minutes(1), align="day")  # error: no such alignment
window.tumbling(Rate.at, Period.minutes(1))  # error: twice
window.to_query()  # error: nothing selected
window.when_empty(ticks=0)  # error: nothing selected
window.group_by(Rate.price)  # error: no text
window.group_by(Rate.broker).group_by(Rate.broker)  # error: twice
window.select(ticks=3)  # error: no aggregate
selected.select(ticks=ao.count())  # error: twice
selected.when_empty(ticks="none")  # error: no number
selected.when_empty(ticks=0).when_empty(ticks=0)  # error: twice
selected.to_query().to_query()  # error: complete
