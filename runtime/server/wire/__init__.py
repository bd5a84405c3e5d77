"""Sockets and bytes: what comes in from clients and goes out to them."""
