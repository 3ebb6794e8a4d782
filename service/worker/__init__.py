"""The program of a worker process, which opens files with FFmpeg and Pillow."""
