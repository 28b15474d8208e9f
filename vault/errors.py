"""What can go wrong with a seal or a key. No message here ever holds content, a key or an identifying value."""

from __future__ import annotations


class VaultError(Exception):
    """Something sealed could not be sealed, opened or proved."""


class NotCanonicalError(VaultError):
    """A value has no canonical bytes, so it can be neither sealed nor chained."""


class SealBrokenError(VaultError):
    """Sealed bytes do not open: another key, another place in the log, or changed bytes."""


class PayloadMisplacedError(VaultError):
    """A Temporal payload belongs to another journey than the workflow it was found in."""


class KeyShreddedError(VaultError):
    """The key was destroyed on purpose: what it sealed is erased for good, and no retry will help."""


class KeyUnknownError(VaultError):
    """No such key here: a wrong id, a key store that was not restored, or the wrong environment."""


class KekFileError(VaultError):
    """The file that holds the key-encryption keys is missing, unsafe or unreadable."""
