"""The ledger: every formula and checkable statement of five documents and of the paper, decided line by line."""
