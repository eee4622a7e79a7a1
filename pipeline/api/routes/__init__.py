"""One module a resource: each translates a request into one call of a service, and its result into an answer."""
