"""The local TaskRouter: workspaces that match tasks with workers (twilio-facts.md 5). REST is ``rest/taskrouter/``."""
