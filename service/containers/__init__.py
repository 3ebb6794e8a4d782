"""What the headers of containers say besides what FFmpeg reports."""
