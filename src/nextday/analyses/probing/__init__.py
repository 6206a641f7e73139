"""What the states of networks hold."""
