"""What the gateway says about itself: metrics over all workers, logs, access lines. Never content, never secrets."""
