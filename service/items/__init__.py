"""What the JSON and the pages contain of a video, and the links to it."""
