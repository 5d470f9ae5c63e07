"""What an engine said it will do or did, made readable: terminal tree and JSON digest.

Reads Pulumi's engine events and nothing else, so it serves the Pulumi CLI and the local engine alike.
"""
