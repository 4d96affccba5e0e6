"""Turns manifests into processes: one service a process, or all of them in one."""
