"""The embedded servers are real, private, keep what they were given, and never outlive whoever started them."""
