"""The front door: who asks, may they, what exactly do they ask. What follows from it is decided elsewhere."""
