"""Ways to a server: HTTP/1.1, HTTP/2 and TLS, with control of connections and of bytes read."""
