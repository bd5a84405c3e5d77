"""NATS JetStream as the place that ledgers are shipped to: its address, its client, and the stream as it must be."""
