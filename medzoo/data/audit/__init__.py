"""What is wrong with a split: twins, leaks, torn groups, shifted classes."""
