"""Real histories against the code as it is now: read, step anew, compare. Nothing is written to the log."""
