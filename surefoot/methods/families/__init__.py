"""What recipes share: common hyperparameters, optimizers, and what every recipe has."""
