"""What every room's routes share: the permission a route declares, who is calling, page shapes."""
