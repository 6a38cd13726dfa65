"""The only package that talks to Linux; reading and parsing are kept apart, the root path is an argument."""
