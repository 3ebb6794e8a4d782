"""The composition root: builds all parts and connects them."""
