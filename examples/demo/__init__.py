"""The demo: a real app watched, a real fault injected, a real page delivered."""
