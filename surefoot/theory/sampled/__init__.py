"""The theory estimated from an agent's episodes."""
