"""The distributed application scheduler: projects, composite applications, intents, placement and lifecycle."""
