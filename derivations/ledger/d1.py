"""D1, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("D1", "Diffusion (study post)")
