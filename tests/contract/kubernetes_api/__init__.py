"""What EMCO, kubectl and Helm need of a Kubernetes API server, asked of a simulated cluster and of a real one.

The same suite passes on both, which is what makes the simulated one trustworthy. Answers are compared word for word
where a client shows them to a user. The witness is the official ``kubernetes`` client.
"""
