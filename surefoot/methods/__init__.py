"""Methods: learners, and the recipes that compose them."""
