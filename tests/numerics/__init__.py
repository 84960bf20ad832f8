"""How exact the public functions are: measured against 50 digits, at the ends of what is allowed."""
