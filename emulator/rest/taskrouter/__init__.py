"""The REST API of TaskRouter, ``/v1/Workspaces/...``; what the resources do is ``emulator.taskrouter``."""
