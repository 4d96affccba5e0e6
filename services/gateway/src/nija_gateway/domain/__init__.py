"""Rules of the gateway: which route, who may pass, how often. No I/O, no clock."""
