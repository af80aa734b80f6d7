"""The commands, one verb a file. Each checks what it was given, asks for what it takes, and opens or answers."""
