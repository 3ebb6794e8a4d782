"""The process that opens files with FFmpeg and Pillow: a crash, a hang or a lack of memory in these
libraries ends this process only."""

from service.worker.tasks import main

if __name__ == "__main__":
    main()
