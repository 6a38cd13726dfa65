"""The learned ranker: reading, checking and evaluating a model, and keeping several in the state directory."""
