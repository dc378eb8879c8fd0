"""How well the recipes learn: a resumable matrix of training runs, and the table made of it."""
