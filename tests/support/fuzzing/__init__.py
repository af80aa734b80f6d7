"""Hostile input, made from good input by damaging it: `make fuzz`. Each case has a name, and can be repeated."""
