"""How many machines a rate needs, from what was measured on one."""
