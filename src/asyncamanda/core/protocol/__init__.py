"""What goes between client and server."""
