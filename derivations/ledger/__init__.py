"""The ledger: every statement of the five documents and of the paper, decided line by line."""
