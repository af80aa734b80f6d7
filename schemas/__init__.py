"""What is said: the data that travels between the rooms and to the outside. Pure; imports nothing of ours."""
