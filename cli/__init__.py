"""The `alliance` command."""
