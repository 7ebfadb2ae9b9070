"""What the gateway costs beside what is written by hand, and beside what others build the same with."""
