"""Prices of what is not a GPU machine: one CSV a cloud, each row with its date and source. What no source told is not in them."""

from planning.cost.prices.table import Price, PriceTable, RejectedPrice, price_table, read_prices

__all__ = ["Price", "PriceTable", "RejectedPrice", "price_table", "read_prices"]
