"""The ledger: every formula and checkable statement of the five source documents and of the paper, decided line by line."""
