"""Webhooks in: verify, publish, answer. Also takes commands over HTTP. It reads no state and decides nothing."""
