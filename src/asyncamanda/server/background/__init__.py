"""What a process of ours needs beside its main way: tasks, threads, log."""
