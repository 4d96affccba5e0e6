"""How the gateway reaches services, and where rate windows are counted."""
