"""Ledgers of many rigs in one place: shipped to a stream of NATS JetStream, and read from there."""
