"""What operators keep safe: backups of the store and the bus together (``backup``, ``restore``, ``archive``), and the
data key (``rotation``, ``keyfile``). ``command`` is the way to them."""
