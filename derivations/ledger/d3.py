"""D3, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("D3", "[Generative-model] DDPM (jh_yun)")
