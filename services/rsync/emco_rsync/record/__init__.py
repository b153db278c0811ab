"""What happened, as it is written to the bus."""
