"""The specification, one table a file: what decides a move is here, what a move does is in the machine's module."""
