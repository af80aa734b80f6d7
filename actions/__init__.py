"""What is done: the workers that carry out the engine's actions at Twilio, each at most once, and report how it ended.

A worker never decides what a call should do next; that is the engine's business (`engine/`), told by the reports.
"""
