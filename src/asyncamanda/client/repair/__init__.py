"""What the doctor can fix by itself: checks made apart from root's process, and steps for root."""
