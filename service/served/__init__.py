"""What players get of a video of the library: in which representation, and with which sounds."""
