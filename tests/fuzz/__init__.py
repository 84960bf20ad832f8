"""Every parser and boundary, given what no one should give it."""
