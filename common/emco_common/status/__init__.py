"""What a deployment looks like now: the status query that orchestrator, dcm and others answer alike."""
