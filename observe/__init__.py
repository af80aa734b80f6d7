"""What is seen: read models over state and events. Reads the log, writes nothing but a redriven dead letter."""
