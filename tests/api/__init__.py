"""The API by what a client sees of it: every route, every role, every way a request can be wrong."""
