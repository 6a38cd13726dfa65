"""Turns the crank: sample → group → classify → decide → act → record → publish."""
