"""The theory of policy optimization, made measurable."""
