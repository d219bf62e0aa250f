Deep pages of lists that are filtered by patterns or labels, and searches for rare kinds of things, are as quick as others.
