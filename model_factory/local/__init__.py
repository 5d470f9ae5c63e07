"""All that lets the stack run with no account and no CLI. Knows nothing of the stack itself."""
