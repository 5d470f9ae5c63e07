"""What an engine said it will do or did, made readable: events, masked as they come in, become a `Report`, judged a `Review`.

Terminal, comment and page render the review; the digest is the report in the shape of `pulumi preview --json`. Reads Pulumi's engine
events and nothing else, so it serves the Pulumi CLI and the local engine alike. Diagrams of a whole stack are under diagrams/.
"""
