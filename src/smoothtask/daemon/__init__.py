"""The one place that puts the parts together: real or dry-run, lock, signals, restore.

Nothing is imported here: who only restores after a crash must not need all that a daemon is made of.
"""
