"""What it means: one pure step per inbox record (`core/`), and the shell that owns partitions and feeds it."""
