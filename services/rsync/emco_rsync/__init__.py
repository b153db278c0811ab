"""The resource synchronizer: brings AppContexts to clusters, watches what became of them, and takes them away again."""
