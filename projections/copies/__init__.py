"""Ledgers that are made of another one: a span of it, or all of it without some values."""
