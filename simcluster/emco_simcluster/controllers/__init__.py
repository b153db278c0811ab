"""What makes a simulated cluster move: workloads become ready, namespaces empty, requests are signed."""
