"""What the repository makes of itself: the SDK's calls, the reference pages, the pinned requirements."""
