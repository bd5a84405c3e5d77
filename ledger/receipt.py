"""Receipts under their public name: what a ledger held at a moment, to be kept elsewhere and checked later."""

from ezmsg.ledger.audit.receipt import Receipt, check, take

__all__ = ["Receipt", "check", "take"]
