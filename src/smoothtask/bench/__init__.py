"""`smoothtask bench`: real loads beside a person's programs, with SmoothTask and without, measured on this machine."""
