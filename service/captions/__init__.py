"""Text to show with a video, as WebVTT: from sidecars and from containers."""
