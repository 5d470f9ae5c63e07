"""The two engines of a stack behind one protocol. They know stacks and clouds; the command line knows them."""
