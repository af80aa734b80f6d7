"""The specification: one table a file. Everything that decides a move is here; what a move does is in the modules
named after the machines.
"""
