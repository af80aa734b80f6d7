"""The commands, one file per group. Each is imported when it is used, so that the command line starts fast."""
