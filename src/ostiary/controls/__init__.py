"""Content controls and limits: one recommended control a file, composed by `control_set`."""
