"""Networks of a cluster: virtual and provider networks, kept as intents, applied as Nodus resources."""
