"""The command as people meet it: its answers, its exit codes, its pictures."""
