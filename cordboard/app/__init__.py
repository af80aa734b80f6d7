"""What wires everything and runs it: the composition root and the command line. Imported by nobody."""
