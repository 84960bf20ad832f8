"""D5, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("D5", "Week 12: Diffusion Models (lecture notes)")
