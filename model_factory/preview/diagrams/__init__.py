"""A stack in pictures: what it is made of (`architecture`), and that drawn in Mermaid (`charts`). Not of a change: of the whole."""
