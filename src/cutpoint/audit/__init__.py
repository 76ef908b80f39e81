"""What is odd in the data: checks over arrays, hashes and embeddings that return findings."""
