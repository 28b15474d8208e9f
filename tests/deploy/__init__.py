"""Facts about what is deployed, as far as they can be had without a container engine."""
