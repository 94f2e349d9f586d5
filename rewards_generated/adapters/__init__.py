"""Between this project's rewards and other trainers: chat messages to text, batch functions in, TRL out."""
