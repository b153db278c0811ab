"""The agent: runs in a cluster that EMCO cannot reach, and makes rsync's calls there."""
