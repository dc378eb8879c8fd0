"""What is learned from: trajectories, batches and offline data; advantages; running statistics."""
