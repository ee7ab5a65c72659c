"""What the dispatcher's process needs beside its loop: tasks, threads, log."""
