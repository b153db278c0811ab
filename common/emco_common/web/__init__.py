"""The door for people: how a service speaks HTTP. It knows no resource and no rule."""
