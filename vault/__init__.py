"""Sealing and proving: keys, ciphertext, canonical bytes, hash chains. No database."""
