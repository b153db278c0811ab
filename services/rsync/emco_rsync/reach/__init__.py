"""The way to a cluster: is it there, how many calls at once, what its errors mean."""
